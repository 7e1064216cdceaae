-- What a sweep holds of everybody while it runs, kept for the sweeps that follow, so that they need not read everybody's row, and who
-- was written since (decision 43). A migration that changes `users.swept` empties `swept_table`.

CREATE TABLE swept_table (
  -- 0 tells what the others are, in JSON (shared/sources/sweep/kept-table.ts).
  part  integer PRIMARY KEY CHECK (part >= 0),
  bytes bytea NOT NULL
);

-- Numbers do not become shorter, and trying takes longer than reading them.
ALTER TABLE swept_table ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- A row for each write that changes what a sweep compares. Nothing but added to by writers, who so never wait for each other or
-- for a sweep.
CREATE TABLE swept_changes (
  user_id    text COLLATE "C" NOT NULL,
  -- Whoever sees everybody at some moment sees the writes of those transactions which that moment sees, and no others.
  changed_by xid8 NOT NULL DEFAULT pg_current_xact_id()
);

CREATE FUNCTION note_swept_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO swept_changes (user_id) VALUES (NEW.user_id);
  END IF;
  IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND OLD.user_id <> NEW.user_id THEN
    INSERT INTO swept_changes (user_id) VALUES (OLD.user_id);
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER users_swept_change AFTER INSERT OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION note_swept_change();
CREATE TRIGGER users_swept_otherwise AFTER UPDATE ON users FOR EACH ROW
  WHEN (OLD.swept IS DISTINCT FROM NEW.swept OR OLD.user_id <> NEW.user_id) EXECUTE FUNCTION note_swept_change();

-- Nobody empties `users`: revocations refer to it, and refuse that.

-- Whoever writes users need not be able to touch the list of changes.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION note_swept_change() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_sweep') THEN RETURN; END IF;
  GRANT SELECT, INSERT, DELETE ON swept_table TO sealwright_sweep;
  GRANT SELECT, DELETE ON swept_changes TO sealwright_sweep;
END
$$;
