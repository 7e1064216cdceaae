-- Two foreign keys looked the same batch up once for every answer: a third of what writing a batch took. The same rule as before,
-- looked at once for all that a statement wrote. A batch never goes and never changes its number (migration 3), so that side of the
-- foreign keys had nothing to do.

ALTER TABLE ocsp_intents DROP CONSTRAINT ocsp_intents_batch_id_fkey;
ALTER TABLE ocsp_answers DROP CONSTRAINT ocsp_answers_batch_id_fkey;

CREATE FUNCTION refuse_unknown_ocsp_batch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM (SELECT DISTINCT batch_id FROM written) AS named
              WHERE NOT EXISTS (SELECT FROM ocsp_batches WHERE ocsp_batches.batch_id = named.batch_id)) THEN
    RAISE EXCEPTION 'there is no such batch of OCSP answers'
      USING ERRCODE = 'foreign_key_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER ocsp_intents_have_a_batch AFTER INSERT ON ocsp_intents
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION refuse_unknown_ocsp_batch();
CREATE TRIGGER ocsp_answers_have_a_batch AFTER INSERT ON ocsp_answers
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION refuse_unknown_ocsp_batch();
CREATE TRIGGER ocsp_answers_still_have_a_batch AFTER UPDATE ON ocsp_answers
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION refuse_unknown_ocsp_batch();

-- What the triggers look up is the ledger's own doing (migration 19).
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION refuse_unknown_ocsp_batch() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END
$$;
