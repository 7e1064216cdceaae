-- A batch of OCSP answers was checked row by row, twice each where it replaces answers, by a function that acts as the ledger's owner: half
-- of what writing it took. The same two rules as before; what one row says alone is looked at without a function, and the
-- revocations are looked at once for all that a statement wrote.

DROP TRIGGER ocsp_answers_only_move_on ON ocsp_answers;
DROP FUNCTION refuse_older_ocsp_answer();

CREATE TRIGGER ocsp_answers_only_move_on BEFORE UPDATE ON ocsp_answers FOR EACH ROW
  WHEN ((OLD.status = 'revoked' AND NEW.status <> 'revoked') OR OLD.this_update > NEW.this_update)
  EXECUTE FUNCTION refuse_change('an OCSP answer is never replaced by an older one, and revoked never by good');

CREATE FUNCTION refuse_good_of_revoked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- One look into the index for each: there may be a million revocations and never more than a batch of answers.
  IF EXISTS (SELECT FROM written, LATERAL (SELECT FROM revocations WHERE serial_hex = written.serial_hex LIMIT 1) AS revoked
              WHERE written.status = 'good') THEN
    RAISE EXCEPTION 'a revoked serial is never answered good'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER ocsp_answers_never_good_of_revoked AFTER INSERT ON ocsp_answers
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION refuse_good_of_revoked();
CREATE TRIGGER ocsp_answers_never_again_good_of_revoked AFTER UPDATE ON ocsp_answers
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION refuse_good_of_revoked();

-- What the triggers look up is the ledger's own doing (migration 19).
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION refuse_good_of_revoked() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END
$$;
