-- A sweep tells whom a look would change from whom it would leave as they are. For that it needs to know of a deleted account that a look has
-- found it so, of a leaver whether they were archived then, whose terms are others, and of somebody under a rule that only observes
-- that they are observed.

ALTER TABLE users
  -- At the last look that found the account in the directory.
  ADD COLUMN archived boolean NOT NULL DEFAULT false;

UPDATE users SET archived = true WHERE reason LIKE 'Left the scope: the account is archived%';

ALTER TABLE users DROP COLUMN swept;

-- As migration 22 has it, and of the first word, bit 6: deleted; bit 7: observed; bit 24: archived.
ALTER TABLE users ADD COLUMN swept bytea GENERATED ALWAYS AS (
  int4send(
    (CASE WHEN user_id ~ '^[1-9][0-9]{20}$' THEN 0 ELSE least(octet_length(user_id), 255) END << 16)
    | (least(coalesce(octet_length(rule_name), 0), 255) << 8)
    | CASE state WHEN 'ready' THEN 1 WHEN 'pending' THEN 2 WHEN 'blocked' THEN 3 WHEN 'leaving' THEN 4
                 WHEN 'out' THEN 5 END
    | CASE WHEN left_scope_at IS NULL THEN 0 ELSE 8 END
    | CASE WHEN suspended_at IS NULL THEN 0 ELSE 16 END
    | CASE WHEN address_digest IS NULL THEN 0 ELSE 32 END
    | CASE WHEN deleted_at IS NULL THEN 0 ELSE 64 END
    | CASE WHEN next_action IS DISTINCT FROM 'observe-again' THEN 0 ELSE 128 END
    | CASE WHEN archived THEN 1 << 24 ELSE 0 END)
  || int4send(coalesce(address_digest, 0))
  || CASE WHEN user_id ~ '^[1-9][0-9]{20}$' THEN decode('0' || user_id, 'hex')
          -- A cast reads backslashes as escapes, so they are doubled.
          ELSE substr(replace(user_id, '\', '\\')::bytea, 1, 255) END
  || substr(replace(coalesce(rule_name, ''), '\', '\\')::bytea, 1, 255)
) STORED NOT NULL;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_directory_event') THEN RETURN; END IF;
  GRANT INSERT (archived), UPDATE (archived) ON users TO sealwright_directory_event;
END
$$;
