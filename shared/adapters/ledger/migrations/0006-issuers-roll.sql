-- Issuers whose key is in Cloud KMS, issuers that follow one another, and certificates asked of another CA.

-- A version in Secret Manager, or one of a Cloud KMS key that signs and cannot be read.
ALTER TABLE issuers RENAME COLUMN key_secret_version TO key_version;
ALTER TABLE issuers ADD COLUMN key_custody text NOT NULL DEFAULT 'secret-manager'
  CHECK (key_custody IN ('secret-manager', 'cloud-kms'))
  CHECK ((key_custody = 'cloud-kms') = (key_version LIKE '%/cryptoKeyVersions/%'));

-- prepared: signs its first CRL and issues nothing yet, so that the issuer before it goes on until this one is reachable.
ALTER TABLE issuers DROP CONSTRAINT issuers_state_check;
ALTER TABLE issuers ADD CONSTRAINT issuers_state_check
  CHECK (state IN ('prepared', 'active', 'retiring', 'retired'));

CREATE TRIGGER issuers_only_move_on BEFORE UPDATE ON issuers FOR EACH ROW
  WHEN (array_position(ARRAY['prepared', 'active', 'retiring', 'retired'], NEW.state)
      < array_position(ARRAY['prepared', 'active', 'retiring', 'retired'], OLD.state))
  EXECUTE FUNCTION refuse_change('an issuer goes from prepared to active to retiring to retired and never back');

-- A key made for an issuer whose certificate another CA signs. The key is where the version says; nothing here is secret.
CREATE TABLE issuer_requests (
  spki_sha256_hex text COLLATE "C" PRIMARY KEY CHECK (spki_sha256_hex ~ '^[0-9a-f]{64}$'),
  key_version     text NOT NULL,
  csr_der         bytea NOT NULL,
  requested_at    timestamptz NOT NULL
);

CREATE TRIGGER issuer_requests_keep_their_key BEFORE UPDATE ON issuer_requests FOR EACH ROW
  WHEN ((OLD.spki_sha256_hex, OLD.key_version) IS DISTINCT FROM (NEW.spki_sha256_hex, NEW.key_version))
  EXECUTE FUNCTION refuse_change('a request keeps its key');
CREATE TRIGGER issuer_requests_are_kept BEFORE DELETE ON issuer_requests FOR EACH ROW
  EXECUTE FUNCTION refuse_change('requests are kept: each names a key that exists');
