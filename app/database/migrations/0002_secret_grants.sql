-- A secret of a wider scope (team/…, organization) may be used only by the projects that it lists:
-- '<environment>/<team>/<project>', each part a name or '*'. Null: by nobody.
alter table secret_values add column grants text[];

-- Versions are never used twice, not even after a removal: a ciphertext of old cannot pass for the present one, and a
-- digest of versions changes whenever a value does.
create sequence secret_versions as integer owned by secret_values.version;
