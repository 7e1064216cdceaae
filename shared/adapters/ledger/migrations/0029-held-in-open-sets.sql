-- Only an open set is decided on, so whoever waits in another one would wait for ever.

CREATE FUNCTION refuse_absorption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM held_sets WHERE set_id = NEW.absorbed_by AND state = 'open') THEN
    RAISE EXCEPTION 'a held set is absorbed by an open one' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER held_sets_absorbed_by_open AFTER UPDATE OF absorbed_by ON held_sets FOR EACH ROW
  WHEN (NEW.absorbed_by IS NOT NULL) EXECUTE FUNCTION refuse_absorption();

-- At the end of the transaction, because a set is closed and those it holds are moved in one.
CREATE FUNCTION refuse_waiting_in_vain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM held_departures JOIN held_sets USING (set_id)
              WHERE set_id = NEW.set_id AND held_departures.state = 'held' AND held_sets.state <> 'open') THEN
    RAISE EXCEPTION 'a departure is held in an open set' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER held_sets_closed_empty AFTER UPDATE ON held_sets DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.state <> 'open') EXECUTE FUNCTION refuse_waiting_in_vain();
CREATE CONSTRAINT TRIGGER held_departures_in_open AFTER INSERT OR UPDATE ON held_departures DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.state = 'held') EXECUTE FUNCTION refuse_waiting_in_vain();
