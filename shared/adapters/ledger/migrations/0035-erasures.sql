-- Wrapped keys of people who were deleted: erased by two admins and in no other way (decision 39). The row of the key stays, with its
-- fingerprint; every wrapped form of it goes.

ALTER TABLE users
  -- When a look first found the account deleted, or in no list by two whole sweeps; null again once anybody has seen it.
  ADD COLUMN deleted_at timestamptz;

-- Of those who were gone before this was recorded the window begins now: too late is better than too early.
UPDATE users SET deleted_at = now()
 WHERE state = 'out' AND (reason LIKE 'The account was deleted.%' OR reason LIKE 'The account is in no list of the directory%');

CREATE INDEX users_deleted ON users (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE erasures (
  erasure_id    text COLLATE "C" PRIMARY KEY,
  -- Of the set as it was shown (shared/plan/erasure.ts).
  digest        text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
  shown         jsonb NOT NULL CHECK (jsonb_typeof(shown) = 'array'),
  key_ids       text[] NOT NULL CHECK (cardinality(key_ids) > 0),
  -- The first admin's statement that no legal hold exists.
  no_legal_hold text NOT NULL CHECK (no_legal_hold <> ''),
  requested_by  text NOT NULL,
  requested_at  timestamptz NOT NULL,
  confirmed_by  text,
  confirmed_at  timestamptz,
  -- requested: waits for a second admin. confirmed: is being carried out.
  state         text NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'confirmed', 'done', 'cancelled')),
  detail        text,
  closed_at     timestamptz,
  CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
  CHECK (state NOT IN ('confirmed', 'done') OR confirmed_by IS NOT NULL),
  CONSTRAINT erasures_two_admins CHECK (confirmed_by <> requested_by),
  CHECK ((state IN ('requested', 'confirmed')) = (closed_at IS NULL))
);

CREATE UNIQUE INDEX erasures_one_open ON erasures ((true)) WHERE closed_at IS NULL;

CREATE TRIGGER erasures_close_once BEFORE UPDATE ON erasures FOR EACH ROW
  WHEN (OLD.closed_at IS NOT NULL
    OR OLD.confirmed_by IS NOT NULL AND OLD.confirmed_by IS DISTINCT FROM NEW.confirmed_by
    OR (OLD.erasure_id, OLD.digest, OLD.shown, OLD.key_ids, OLD.no_legal_hold, OLD.requested_by, OLD.requested_at)
       IS DISTINCT FROM
       (NEW.erasure_id, NEW.digest, NEW.shown, NEW.key_ids, NEW.no_legal_hold, NEW.requested_by, NEW.requested_at))
  EXECUTE FUNCTION refuse_change('an erasure is confirmed and closed once and otherwise never changes');
CREATE TRIGGER erasures_are_kept BEFORE DELETE ON erasures FOR EACH ROW
  EXECUTE FUNCTION refuse_change('erasures are kept');

ALTER TABLE user_keys
  ADD COLUMN erasure_id text COLLATE "C" REFERENCES erasures,
  ADD COLUMN erased_at timestamptz,
  ADD CONSTRAINT user_keys_erased_at_check CHECK ((erasure_id IS NULL) = (erased_at IS NULL)),
  DROP CONSTRAINT user_keys_are_wrapped_or_on_a_card,
  ADD CONSTRAINT user_keys_are_wrapped_or_on_a_card CHECK (
    CASE WHEN card_description IS NULL
      THEN (wrapped_key IS NULL) = (erasure_id IS NOT NULL) AND key_service_url IS NOT NULL AND proof <> 'not-applicable'
      ELSE wrapped_key IS NULL AND erasure_id IS NULL AND key_service_url IS NULL AND proof = 'not-applicable' END);

DROP TRIGGER user_keys_change_proof_only ON user_keys;
CREATE TRIGGER user_keys_change_proof_only BEFORE UPDATE ON user_keys FOR EACH ROW
  WHEN ((OLD.key_id, OLD.position, OLD.user_id, OLD.spki_sha256_hex, OLD.spki_der, OLD.modulus_bits,
         OLD.key_service_url, OLD.wish_id, OLD.created_at, OLD.purpose, OLD.card_description, OLD.imported)
    IS DISTINCT FROM (NEW.key_id, NEW.position, NEW.user_id, NEW.spki_sha256_hex, NEW.spki_der, NEW.modulus_bits,
         NEW.key_service_url, NEW.wish_id, NEW.created_at, NEW.purpose, NEW.card_description, NEW.imported)
    OR (OLD.wrapped_key, OLD.erasure_id, OLD.erased_at) IS DISTINCT FROM (NEW.wrapped_key, NEW.erasure_id, NEW.erased_at)
       AND (OLD.erasure_id IS NOT NULL OR NEW.erasure_id IS NULL OR NEW.wrapped_key IS NOT NULL))
  EXECUTE FUNCTION refuse_change('of a recorded key only the proof may change');

-- What the code checks with a sentence is refused here whoever asks.
CREATE FUNCTION refuse_unconfirmed_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM erasures
                  WHERE erasure_id = NEW.erasure_id AND state = 'confirmed' AND NEW.key_id = ANY(key_ids)) THEN
    RAISE EXCEPTION 'a wrapped key is erased by an erasure that two admins confirmed and that names it'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
  END IF;
  IF NOT EXISTS (SELECT FROM users WHERE user_id = NEW.user_id AND deleted_at IS NOT NULL) THEN
    RAISE EXCEPTION 'the wrapped keys of who is not deleted are kept'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
  END IF;
  IF EXISTS (SELECT FROM user_keys AS other JOIN users USING (user_id)
              WHERE other.spki_sha256_hex = NEW.spki_sha256_hex AND users.deleted_at IS NULL) THEN
    RAISE EXCEPTION 'the same key is used by somebody who is not deleted'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
  END IF;
  IF EXISTS (SELECT FROM key_moves AS move JOIN pair_certificates AS certificate USING (serial_hex)
              WHERE certificate.key_id = NEW.key_id AND move.state = 'open') THEN
    RAISE EXCEPTION 'the key is being moved to another key service'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER user_keys_are_erased_by_two BEFORE UPDATE ON user_keys FOR EACH ROW
  WHEN (OLD.erasure_id IS NULL AND NEW.erasure_id IS NOT NULL)
  EXECUTE FUNCTION refuse_unconfirmed_erasure();

-- Whoever erases a key erases every form of it.
ALTER TABLE key_moves
  DROP CONSTRAINT key_moves_check1,
  ADD CONSTRAINT key_moves_moved_check CHECK (state <> 'moved' OR keypair_id IS NOT NULL);

CREATE FUNCTION erase_other_forms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM rewrapped_keys WHERE key_id = NEW.key_id;
  DELETE FROM unreadable_keys WHERE key_id = NEW.key_id;
  UPDATE key_moves SET wrapped_key = NULL
   WHERE serial_hex IN (SELECT serial_hex FROM pair_certificates WHERE key_id = NEW.key_id) AND wrapped_key IS NOT NULL;
  RETURN NULL;
END
$$;

CREATE TRIGGER user_keys_erase_other_forms AFTER UPDATE ON user_keys FOR EACH ROW
  WHEN (OLD.erasure_id IS NULL AND NEW.erasure_id IS NOT NULL)
  EXECUTE FUNCTION erase_other_forms();

-- The lock makes a rotation and an erasure of one key take turns.
CREATE FUNCTION refuse_form_of_erased() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  erasure text;
BEGIN
  SELECT erasure_id INTO erasure FROM user_keys
   WHERE key_id = CASE TG_OP WHEN 'DELETE' THEN OLD.key_id ELSE NEW.key_id END FOR NO KEY UPDATE;
  IF (TG_OP = 'DELETE') = (erasure IS NOT NULL) THEN
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
  END IF;
  RAISE EXCEPTION '%', CASE TG_OP WHEN 'DELETE'
      THEN 'wrapped keys are never changed or deleted: old mail is opened with them'
      ELSE 'an erased key has no wrapped form' END
    USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END
$$;

DROP TRIGGER rewrapped_keys_are_kept ON rewrapped_keys;
CREATE TRIGGER rewrapped_keys_are_kept BEFORE UPDATE ON rewrapped_keys FOR EACH ROW
  EXECUTE FUNCTION refuse_change('wrapped keys are never changed or deleted: old mail is opened with them');
CREATE TRIGGER rewrapped_keys_go_with_the_key BEFORE INSERT OR DELETE ON rewrapped_keys FOR EACH ROW
  EXECUTE FUNCTION refuse_form_of_erased();

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['refuse_unconfirmed_erasure', 'erase_other_forms', 'refuse_form_of_erased'] LOOP
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
   WHERE k.card_description IS NULL AND k.erasure_id IS NULL;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_directory_event') THEN RETURN; END IF;
  GRANT UPDATE (deleted_at) ON users TO sealwright_directory_event;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_admin') THEN RETURN; END IF;
  GRANT SELECT ON erasures TO sealwright_admin;
  GRANT INSERT (erasure_id, digest, shown, key_ids, no_legal_hold, requested_by, requested_at),
        UPDATE (confirmed_by, confirmed_at, state, detail, closed_at) ON erasures TO sealwright_admin;
  GRANT UPDATE (wrapped_key, erasure_id, erased_at) ON user_keys TO sealwright_admin;
END
$$;
