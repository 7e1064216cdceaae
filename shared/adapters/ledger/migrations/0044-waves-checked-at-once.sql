-- Whom a sweep puts into a wave names its rollout and its sweep, and two foreign keys looked the same two up once for everybody: two
-- thirds of what putting people there took. The same rule as before, looked at once for all that a statement wrote. No role may delete
-- either.

ALTER TABLE rollout_users DROP CONSTRAINT rollout_users_rollout_id_fkey;
ALTER TABLE rollout_users DROP CONSTRAINT rollout_users_sweep_id_fkey;

CREATE FUNCTION refuse_unknown_rollout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM (SELECT DISTINCT rollout_id FROM written) AS named
              WHERE NOT EXISTS (SELECT FROM rollouts WHERE rollouts.rollout_id = named.rollout_id))
     OR EXISTS (SELECT FROM (SELECT DISTINCT sweep_id FROM written WHERE sweep_id IS NOT NULL) AS named
                 WHERE NOT EXISTS (SELECT FROM sweeps WHERE sweeps.sweep_id = named.sweep_id)) THEN
    RAISE EXCEPTION 'there is no such rollout or sweep'
      USING ERRCODE = 'foreign_key_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER rollout_users_have_an_origin AFTER INSERT ON rollout_users
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION refuse_unknown_rollout();
CREATE TRIGGER rollout_users_still_have_an_origin AFTER UPDATE ON rollout_users
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION refuse_unknown_rollout();

-- What the triggers look up is the ledger's own doing (migration 19).
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION refuse_unknown_rollout() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END
$$;

-- Which sweeps missed somebody nobody asked: when they did is what counts.
ALTER TABLE absences DROP COLUMN first_sweep, DROP COLUMN last_sweep;
