-- Keys of old mail, imported from elsewhere: wrapped like any other key and uploaded to Gmail with the certificate they had
-- there, so that mail that was encrypted to it opens. Nothing is ever issued over them and no identity uses them.
--
--   imported certificate  of any CA, expired or not; its pair is a row of `keypairs` under its import id, which no serial
--                         can be mistaken for

ALTER TABLE user_keys ADD COLUMN imported boolean NOT NULL DEFAULT false;

DROP TRIGGER user_keys_change_proof_only ON user_keys;
CREATE TRIGGER user_keys_change_proof_only BEFORE UPDATE ON user_keys FOR EACH ROW
  WHEN ((OLD.key_id, OLD.position, OLD.user_id, OLD.spki_sha256_hex, OLD.spki_der, OLD.modulus_bits,
         OLD.key_service_url, OLD.wrapped_key, OLD.wish_id, OLD.created_at, OLD.purpose, OLD.card_description, OLD.imported)
    IS DISTINCT FROM (NEW.key_id, NEW.position, NEW.user_id, NEW.spki_sha256_hex, NEW.spki_der, NEW.modulus_bits,
         NEW.key_service_url, NEW.wrapped_key, NEW.wish_id, NEW.created_at, NEW.purpose, NEW.card_description, NEW.imported))
  EXECUTE FUNCTION refuse_change('of a recorded key only the proof may change');

CREATE TABLE imported_certificates (
  -- 'imported-' and the first half of the certificate's SHA-256.
  import_id     text COLLATE "C" PRIMARY KEY CHECK (import_id ~ '^imported-[0-9a-f]{32}$'),
  -- Drawn from the leaves' own numbers, so that both page in one order.
  position      bigint NOT NULL UNIQUE DEFAULT nextval(pg_get_serial_sequence('leaves', 'position')),
  user_id       text COLLATE "C" NOT NULL REFERENCES users,
  key_id        text COLLATE "C" NOT NULL,
  certificate_sha256_hex text NOT NULL UNIQUE CHECK (certificate_sha256_hex ~ '^[0-9a-f]{64}$'),
  -- DER in base64: the certificate first, then what came with it of its chain.
  chain         text[] NOT NULL CHECK (cardinality(chain) > 0),
  addresses     text[] NOT NULL,
  not_before    timestamptz NOT NULL,
  not_after     timestamptz NOT NULL,
  -- open: waits for its turn in Gmail. uploaded: `keypairs` has Gmail's id.
  state         text NOT NULL CHECK (state IN ('open', 'uploaded', 'refused')),
  -- refused: why.
  detail        text,
  requested_by  text NOT NULL,
  requested_at  timestamptz NOT NULL,
  FOREIGN KEY (key_id, user_id) REFERENCES user_keys (key_id, user_id),
  CHECK ((state = 'refused') = (detail IS NOT NULL))
);

CREATE INDEX imported_certificates_of_user ON imported_certificates (user_id);
CREATE INDEX imported_certificates_of_key ON imported_certificates (key_id);

CREATE TRIGGER imported_certificates_keep_their_bytes BEFORE UPDATE ON imported_certificates FOR EACH ROW
  WHEN ((OLD.import_id, OLD.position, OLD.user_id, OLD.certificate_sha256_hex, OLD.addresses, OLD.not_before, OLD.not_after)
    IS DISTINCT FROM
        (NEW.import_id, NEW.position, NEW.user_id, NEW.certificate_sha256_hex, NEW.addresses, NEW.not_before, NEW.not_after))
  EXECUTE FUNCTION refuse_change('an imported certificate is one user''s and never changes');
CREATE TRIGGER imported_certificates_are_kept BEFORE DELETE ON imported_certificates FOR EACH ROW
  EXECUTE FUNCTION refuse_change('imported certificates are kept: old mail is opened with their pairs');

-- A pair is of a leaf of ours or of an imported certificate.
ALTER TABLE keypairs
  DROP CONSTRAINT keypairs_serial_hex_fkey,
  ADD COLUMN leaf_serial_hex text COLLATE "C"
    GENERATED ALWAYS AS (CASE WHEN serial_hex NOT LIKE 'imported-%' THEN serial_hex END) STORED REFERENCES leaves,
  ADD COLUMN import_id text COLLATE "C"
    GENERATED ALWAYS AS (CASE WHEN serial_hex LIKE 'imported-%' THEN serial_hex END) STORED
    REFERENCES imported_certificates;

-- What pairs can be of: serial or import id, whose, over which key, and the time in which mail was encrypted to it.
CREATE VIEW pair_certificates AS
  SELECT serial_hex, position, user_id, key_id, not_before, not_after, false AS imported
    FROM leaves WHERE state = 'signed'
  UNION ALL
  SELECT import_id, position, user_id, key_id, not_before, not_after, true FROM imported_certificates;

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
   WHERE k.card_description IS NULL;
