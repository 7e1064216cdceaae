-- Once an account is deleted the directory says no more whether it was a super admin, in which unit it was and in which groups: what
-- protected it stands in its row, so that its departure waits for an admin still.

ALTER TABLE users
  -- What but a name protected the account at the last look that found it in the directory (shared/plan/scope.ts); null: nothing, or no
  -- look since this migration.
  ADD COLUMN protected_by text[] COLLATE "C";

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_directory_event') THEN RETURN; END IF;
  GRANT INSERT (protected_by), UPDATE (protected_by) ON users TO sealwright_directory_event;
END
$$;
