-- What a user's key is for; which of our key pairs we disabled; what an admin should know about a user; who else's
-- certificate names an address.

-- The default is for rows that are there and for a version of the code that still runs while this is applied.
ALTER TABLE user_keys
  ADD COLUMN purpose text NOT NULL DEFAULT 'dual-use' CHECK (purpose IN ('dual-use', 'signing', 'encryption'));

DROP TRIGGER user_keys_change_proof_only ON user_keys;
CREATE TRIGGER user_keys_change_proof_only BEFORE UPDATE ON user_keys FOR EACH ROW
  WHEN ((OLD.key_id, OLD.position, OLD.user_id, OLD.spki_sha256_hex, OLD.spki_der, OLD.modulus_bits,
         OLD.key_service_url, OLD.wrapped_key, OLD.wish_id, OLD.created_at, OLD.purpose)
    IS DISTINCT FROM (NEW.key_id, NEW.position, NEW.user_id, NEW.spki_sha256_hex, NEW.spki_der, NEW.modulus_bits,
         NEW.key_service_url, NEW.wrapped_key, NEW.wish_id, NEW.created_at, NEW.purpose))
  EXECUTE FUNCTION refuse_change('of a recorded key only the proof may change');

-- A pair that we disabled, and why: one that somebody disabled by hand is told apart from it.
ALTER TABLE keypairs
  ADD COLUMN disabled_at timestamptz,
  ADD COLUMN disabled_because text CHECK (disabled_because IN ('left', 'compromised', 'admin')),
  ADD CHECK ((disabled_at IS NULL) = (disabled_because IS NULL));

-- A re-key may ask that the pairs it replaces be disabled.
ALTER TABLE jobs ADD COLUMN disable_keypairs boolean NOT NULL DEFAULT false;

-- Things an admin should know about a user that change nothing by themselves. The key tells one from another of its
-- kind; a row stays when the thing is over, with resolved_at, so that nothing is told twice.
CREATE TABLE notices (
  user_id     text COLLATE "C" NOT NULL REFERENCES users,
  notice_key  text COLLATE "C" NOT NULL,
  kind        text NOT NULL,
  message     text NOT NULL,
  since       timestamptz NOT NULL,
  resolved_at timestamptz,
  PRIMARY KEY (user_id, notice_key)
);

CREATE INDEX notices_open ON notices (user_id) WHERE resolved_at IS NULL;

-- Before an address is certified for one user, nobody else's certificate may name it.
CREATE INDEX leaves_by_address ON leaves USING gin (addresses);
