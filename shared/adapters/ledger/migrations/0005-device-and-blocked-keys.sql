-- Keys that live in a mail client of their own, and keys that are never certified again.

-- Only the public half ever comes here. A row is an admin's request; its leaf, once there is one, names it.
CREATE TABLE device_keys (
  key_id          text COLLATE "C" PRIMARY KEY,
  position        bigint GENERATED ALWAYS AS IDENTITY,
  user_id         text COLLATE "C" NOT NULL REFERENCES users,
  -- What the admin calls the device.
  device          text NOT NULL CHECK (device <> ''),
  -- One public key is certified for one user.
  spki_sha256_hex text NOT NULL UNIQUE CHECK (spki_sha256_hex ~ '^[0-9a-f]{64}$'),
  spki_der        bytea NOT NULL,
  requested_by    text NOT NULL,
  created_at      timestamptz NOT NULL,
  -- Taken back before there was a leaf.
  withdrawn_at    timestamptz,
  UNIQUE (key_id, user_id)
);

CREATE INDEX device_keys_of_user ON device_keys (user_id);

CREATE TRIGGER device_keys_are_only_withdrawn BEFORE UPDATE ON device_keys FOR EACH ROW
  WHEN (OLD.withdrawn_at IS NOT NULL
    OR (OLD.key_id, OLD.position, OLD.user_id, OLD.device, OLD.spki_sha256_hex, OLD.spki_der, OLD.requested_by,
        OLD.created_at)
    IS DISTINCT FROM (NEW.key_id, NEW.position, NEW.user_id, NEW.device, NEW.spki_sha256_hex, NEW.spki_der,
        NEW.requested_by, NEW.created_at))
  EXECUTE FUNCTION refuse_change('a device key is withdrawn once and otherwise never changes');
CREATE TRIGGER device_keys_are_kept BEFORE DELETE ON device_keys FOR EACH ROW
  EXECUTE FUNCTION refuse_change('device keys are kept: their leaves are');

-- A leaf is over a key of the key service or over a device's.
ALTER TABLE leaves
  ALTER COLUMN key_id DROP NOT NULL,
  ADD COLUMN device_key_id text COLLATE "C",
  ADD FOREIGN KEY (device_key_id, user_id) REFERENCES device_keys (key_id, user_id),
  ADD CONSTRAINT leaves_have_one_key CHECK (num_nonnulls(key_id, device_key_id) = 1);

DROP TRIGGER leaves_are_signed_once ON leaves;
CREATE TRIGGER leaves_are_signed_once BEFORE UPDATE ON leaves FOR EACH ROW
  WHEN (OLD.state = 'signed'
    OR (OLD.serial_hex, OLD.position, OLD.issuer_id, OLD.user_id, OLD.key_id, OLD.device_key_id, OLD.profile,
        OLD.addresses, OLD.not_before, OLD.not_after, OLD.tbs_der, OLD.intended_at)
    IS DISTINCT FROM (NEW.serial_hex, NEW.position, NEW.issuer_id, NEW.user_id, NEW.key_id, NEW.device_key_id,
        NEW.profile, NEW.addresses, NEW.not_before, NEW.not_after, NEW.tbs_der, NEW.intended_at))
  EXECUTE FUNCTION refuse_change('a leaf goes from intended to signed once and otherwise never changes');

-- --- blocked keys ---------------------------------------------------------------------------------------------

CREATE TABLE blocked_keys (
  spki_sha256_hex text COLLATE "C" PRIMARY KEY CHECK (spki_sha256_hex ~ '^[0-9a-f]{64}$'),
  -- The leaf whose revocation blocked it.
  serial_hex      text COLLATE "C" NOT NULL REFERENCES revocations,
  blocked_at      timestamptz NOT NULL
);

CREATE TRIGGER blocked_keys_stay BEFORE UPDATE OR DELETE ON blocked_keys FOR EACH ROW
  EXECUTE FUNCTION refuse_change('a blocked key stays blocked');
CREATE TRIGGER blocked_keys_are_not_emptied BEFORE TRUNCATE ON blocked_keys FOR EACH STATEMENT
  EXECUTE FUNCTION refuse_change('a blocked key stays blocked');

CREATE FUNCTION spki_of_leaf(leaf leaves) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT spki_sha256_hex FROM user_keys WHERE key_id = leaf.key_id
  UNION ALL
  SELECT spki_sha256_hex FROM device_keys WHERE key_id = leaf.device_key_id
$$;

-- Whoever revokes for compromise blocks the key in the same transaction.
CREATE FUNCTION block_compromised_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO blocked_keys (spki_sha256_hex, serial_hex, blocked_at)
  SELECT spki_of_leaf(leaf), NEW.serial_hex, NEW.revoked_at FROM leaves AS leaf WHERE leaf.serial_hex = NEW.serial_hex
      ON CONFLICT (spki_sha256_hex) DO NOTHING;
  RETURN NULL;
END
$$;

CREATE TRIGGER revocations_block_compromised_keys AFTER INSERT ON revocations FOR EACH ROW
  WHEN (NEW.reason = 'keyCompromise') EXECUTE FUNCTION block_compromised_key();

INSERT INTO blocked_keys (spki_sha256_hex, serial_hex, blocked_at)
SELECT DISTINCT ON (spki_of_leaf(leaf)) spki_of_leaf(leaf), revocation.serial_hex, revocation.revoked_at
  FROM revocations AS revocation JOIN leaves AS leaf USING (serial_hex)
 WHERE revocation.reason = 'keyCompromise'
 ORDER BY spki_of_leaf(leaf), revocation.revoked_at;

-- Whoever wants to certify a blocked key is refused before anything can be signed.
CREATE FUNCTION refuse_blocked_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM blocked_keys WHERE spki_sha256_hex = spki_of_leaf(NEW)) THEN
    RAISE EXCEPTION 'the key was revoked for compromise'
      USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER leaves_over_no_blocked_key BEFORE INSERT ON leaves FOR EACH ROW
  EXECUTE FUNCTION refuse_blocked_key();
