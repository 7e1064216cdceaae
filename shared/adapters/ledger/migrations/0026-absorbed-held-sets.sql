-- A unit that latches takes what the units below it hold into its own set: one moved unit is one decision.

ALTER TABLE held_sets
  -- The set that everybody who waited in this one waits in now.
  ADD COLUMN absorbed_by bigint REFERENCES held_sets,
  DROP CONSTRAINT held_sets_state_check,
  DROP CONSTRAINT held_sets_check,
  DROP CONSTRAINT held_sets_check1,
  DROP CONSTRAINT held_sets_check2,
  ADD CONSTRAINT held_sets_state_check CHECK (state IN ('open', 'absorbed', 'approved', 'dismissed')),
  ADD CONSTRAINT held_sets_decided CHECK ((state IN ('open', 'absorbed')) = (digest IS NULL)
    AND (digest IS NULL) = (decided_by IS NULL) AND (digest IS NULL) = (decided_at IS NULL)),
  ADD CONSTRAINT held_sets_absorbed CHECK ((state = 'absorbed') = (absorbed_by IS NOT NULL) AND absorbed_by <> set_id);

ALTER TABLE held_departures
  DROP CONSTRAINT held_departures_state_check,
  ADD CONSTRAINT held_departures_state_check CHECK (state IN ('held', 'approved', 'dismissed', 'done', 'unneeded', 'withdrawn',
                                                              'changed', 'lapsed', 'absorbed'));

-- Whoever holds departures says into which set another goes and writes no state of a set: approving is another's.
CREATE FUNCTION close_absorbed_set() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.state := 'absorbed';
  RETURN NEW;
END
$$;

CREATE TRIGGER held_sets_absorbed BEFORE UPDATE OF absorbed_by ON held_sets FOR EACH ROW
  WHEN (NEW.absorbed_by IS NOT NULL) EXECUTE FUNCTION close_absorbed_set();

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_directory_event') THEN RETURN; END IF;
  GRANT UPDATE (absorbed_by) ON held_sets TO sealwright_directory_event;
END
$$;
