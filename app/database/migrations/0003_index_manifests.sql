-- Digest of the manifests at `revision`: when reconcile has applied these, it has applied that commit, whatever other
-- projects' commits stand around it.
alter table projects add column manifests_digest text;
