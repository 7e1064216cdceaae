-- Hints at somebody whom the directory does not show yet, minutes after they were created, undeleted or renamed. `due` publishes
-- them again and removes them; whoever still is nowhere then is put off again.

CREATE TABLE put_off_hints (
  -- The user's id or the address.
  about    text COLLATE "C" NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  -- A new one each time it is put off: what was published is removed by its number, and never what was put off since.
  number   bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  hint     jsonb NOT NULL CHECK (jsonb_typeof(hint -> 'cause') = 'object'),
  PRIMARY KEY (about, event_id)
);

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_directory_event') THEN RETURN; END IF;
  GRANT SELECT, INSERT (about, event_id, hint), UPDATE (number, hint) ON put_off_hints TO sealwright_directory_event;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_due') THEN RETURN; END IF;
  GRANT SELECT, DELETE ON put_off_hints TO sealwright_due;
END
$$;
