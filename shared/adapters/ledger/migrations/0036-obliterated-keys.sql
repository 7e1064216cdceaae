-- With the last key pair of a key the wrapped key goes too (decision 41): by an obliteration that two admins confirmed, in the one
-- transaction that closes it, and in no other way.

ALTER TABLE user_keys
  ADD COLUMN obliteration_id text COLLATE "C" REFERENCES keypair_requests,
  DROP CONSTRAINT user_keys_erased_at_check,
  ADD CONSTRAINT user_keys_erased_at_check CHECK (num_nonnulls(erasure_id, obliteration_id) = num_nonnulls(erased_at)),
  DROP CONSTRAINT user_keys_are_wrapped_or_on_a_card,
  ADD CONSTRAINT user_keys_are_wrapped_or_on_a_card CHECK (
    CASE WHEN card_description IS NULL
      THEN (wrapped_key IS NULL) = (erased_at IS NOT NULL) AND key_service_url IS NOT NULL AND proof <> 'not-applicable'
      ELSE wrapped_key IS NULL AND erased_at IS NULL AND key_service_url IS NULL AND proof = 'not-applicable' END);

DROP TRIGGER user_keys_change_proof_only ON user_keys;
CREATE TRIGGER user_keys_change_proof_only BEFORE UPDATE ON user_keys FOR EACH ROW
  WHEN ((OLD.key_id, OLD.position, OLD.user_id, OLD.spki_sha256_hex, OLD.spki_der, OLD.modulus_bits,
         OLD.key_service_url, OLD.wish_id, OLD.created_at, OLD.purpose, OLD.card_description, OLD.imported)
    IS DISTINCT FROM (NEW.key_id, NEW.position, NEW.user_id, NEW.spki_sha256_hex, NEW.spki_der, NEW.modulus_bits,
         NEW.key_service_url, NEW.wish_id, NEW.created_at, NEW.purpose, NEW.card_description, NEW.imported)
    OR (OLD.wrapped_key, OLD.erasure_id, OLD.obliteration_id, OLD.erased_at)
       IS DISTINCT FROM (NEW.wrapped_key, NEW.erasure_id, NEW.obliteration_id, NEW.erased_at)
       AND (OLD.erased_at IS NOT NULL OR NEW.erased_at IS NULL OR NEW.wrapped_key IS NOT NULL))
  EXECUTE FUNCTION refuse_change('of a recorded key only the proof may change');

-- What the code checks with a sentence is refused here whoever asks.
CREATE OR REPLACE FUNCTION refuse_unconfirmed_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  against text := CASE
    WHEN NEW.obliteration_id IS NOT NULL THEN CASE
      -- The same key may stand in several rows of a user, each with a wrapped form of its own.
      WHEN NOT EXISTS (SELECT FROM keypair_requests AS request JOIN pair_certificates AS certificate USING (serial_hex)
                         JOIN user_keys AS key USING (key_id)
                        WHERE request.request_id = NEW.obliteration_id AND request.kind = 'obliterate' AND request.state = 'done'
                          AND key.user_id = NEW.user_id AND key.spki_sha256_hex = NEW.spki_sha256_hex)
        THEN 'a wrapped key is erased with a key pair of its own that two admins had obliterated'
      WHEN EXISTS (SELECT FROM leaves JOIN user_keys AS key USING (key_id)
                    WHERE key.spki_sha256_hex = NEW.spki_sha256_hex AND leaves.not_after > NEW.erased_at
                      AND NOT EXISTS (SELECT FROM revocations WHERE revocations.serial_hex = leaves.serial_hex))
        THEN 'a certificate over the key is good still'
      WHEN EXISTS (SELECT FROM user_keys AS other
                    WHERE other.spki_sha256_hex = NEW.spki_sha256_hex AND other.user_id <> NEW.user_id AND other.erased_at IS NULL)
        THEN 'somebody else has the same key'
      END
    WHEN NOT EXISTS (SELECT FROM erasures
                      WHERE erasure_id = NEW.erasure_id AND state = 'confirmed' AND NEW.key_id = ANY(key_ids))
      THEN 'a wrapped key is erased by an erasure that two admins confirmed and that names it'
    WHEN NOT EXISTS (SELECT FROM users WHERE user_id = NEW.user_id AND deleted_at IS NOT NULL)
      THEN 'the wrapped keys of who is not deleted are kept'
    WHEN EXISTS (SELECT FROM user_keys AS other JOIN users USING (user_id)
                  WHERE other.spki_sha256_hex = NEW.spki_sha256_hex AND other.erased_at IS NULL AND users.deleted_at IS NULL)
      THEN 'the same key is used by somebody who is not deleted'
    END;
BEGIN
  IF against IS NULL AND EXISTS (SELECT FROM key_moves AS move JOIN pair_certificates AS certificate USING (serial_hex)
                                  WHERE certificate.key_id = NEW.key_id AND move.state = 'open') THEN
    against := 'the key is being moved to another key service';
  END IF;
  IF against IS NOT NULL THEN
    RAISE EXCEPTION '%', against USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
  END IF;
  RETURN NEW;
END
$$;

DROP TRIGGER user_keys_are_erased_by_two ON user_keys;
CREATE TRIGGER user_keys_are_erased_by_two BEFORE UPDATE ON user_keys FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL)
  EXECUTE FUNCTION refuse_unconfirmed_erasure();

DROP TRIGGER user_keys_erase_other_forms ON user_keys;
CREATE TRIGGER user_keys_erase_other_forms AFTER UPDATE ON user_keys FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL)
  EXECUTE FUNCTION erase_other_forms();

-- The lock makes a rotation and an erasure of one key take turns.
CREATE OR REPLACE FUNCTION refuse_form_of_erased() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  erased timestamptz;
BEGIN
  SELECT erased_at INTO erased FROM user_keys
   WHERE key_id = CASE TG_OP WHEN 'DELETE' THEN OLD.key_id ELSE NEW.key_id END FOR NO KEY UPDATE;
  IF (TG_OP = 'DELETE') = (erased IS NOT NULL) THEN
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
  END IF;
  RAISE EXCEPTION '%', CASE TG_OP WHEN 'DELETE'
      THEN 'wrapped keys are never changed or deleted: old mail is opened with them'
      ELSE 'an erased key has no wrapped form' END
    USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END
$$;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['refuse_unconfirmed_erasure', 'refuse_form_of_erased'] LOOP
    EXECUTE format('ALTER FUNCTION %I() SECURITY DEFINER SET search_path = %I, pg_temp', name, current_schema());
  END LOOP;
END
$$;

CREATE OR REPLACE VIEW newest_wrapped_keys AS
  SELECT k.key_id, k.user_id, coalesce(m.to_url, k.key_service_url) AS key_service_url,
         coalesce(r.wrapped_key, k.wrapped_key) AS wrapped_key,
         coalesce(r.kek_id, k.kek_id) AS kek_id, r.key_id IS NOT NULL AS rewrapped
    FROM user_keys k
    LEFT JOIN LATERAL (SELECT * FROM rewrapped_keys WHERE rewrapped_keys.key_id = k.key_id
                        ORDER BY position DESC LIMIT 1) r ON true
    LEFT JOIN LATERAL (SELECT job.to_url FROM key_moves move JOIN key_move_jobs job USING (job_id)
                         JOIN pair_certificates certificate USING (serial_hex)
                        WHERE certificate.key_id = k.key_id AND move.state = 'moved'
                        ORDER BY move.closed_at DESC LIMIT 1) m ON true
   WHERE k.card_description IS NULL AND k.erased_at IS NULL;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_directory_event') THEN RETURN; END IF;
  GRANT UPDATE (wrapped_key, obliteration_id, erased_at) ON user_keys TO sealwright_directory_event;
END
$$;
