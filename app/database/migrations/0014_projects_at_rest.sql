-- What the wanted state of a project at rest was made of: ids of its blobs, what the apply door let in, versions of its
-- secrets. A start that finds all of it unchanged takes the inventory for what is wanted, and reads no manifests.
-- Null wherever the inventory is not exactly what is wanted.
alter table project_status add column origin jsonb;
