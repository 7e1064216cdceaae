-- OCSP: the address that leaves carry, the delegated signers, the answers signed ahead of time. And which public
-- addresses of an issuer were fetched from outside and found right, before which it issues nothing.

-- Printed into leaves as OCSP responder; null for an issuer whose leaves name none.
ALTER TABLE issuers ADD COLUMN ocsp_url text;

CREATE TABLE ocsp_signers (
  serial_hex         text COLLATE "C" PRIMARY KEY
                     CHECK (serial_hex ~ '^([0-7][0-9a-f])([0-9a-f]{2}){0,19}$' AND serial_hex !~ '^0+$'),
  issuer_id          text COLLATE "C" NOT NULL REFERENCES issuers,
  spki_der           bytea NOT NULL,
  -- Pinned version of the secret that holds its private key.
  key_secret_version text NOT NULL,
  profile            text NOT NULL,
  not_before         timestamptz NOT NULL,
  not_after          timestamptz NOT NULL CHECK (not_after > not_before),
  tbs_der            bytea NOT NULL,
  state              text NOT NULL CHECK (state IN ('intended', 'signed')),
  certificate_der    bytea,
  intended_at        timestamptz NOT NULL,
  signed_at          timestamptz,
  CHECK ((state = 'signed') = (certificate_der IS NOT NULL)),
  CHECK ((state = 'signed') = (signed_at IS NOT NULL))
);

CREATE INDEX ocsp_signers_of_issuer ON ocsp_signers (issuer_id, not_after);

CREATE TRIGGER ocsp_signers_are_signed_once BEFORE UPDATE ON ocsp_signers FOR EACH ROW
  WHEN (OLD.state = 'signed'
    OR (OLD.serial_hex, OLD.issuer_id, OLD.spki_der, OLD.key_secret_version, OLD.profile, OLD.not_before, OLD.not_after,
        OLD.tbs_der, OLD.intended_at)
    IS DISTINCT FROM (NEW.serial_hex, NEW.issuer_id, NEW.spki_der, NEW.key_secret_version, NEW.profile, NEW.not_before,
        NEW.not_after, NEW.tbs_der, NEW.intended_at))
  EXECUTE FUNCTION refuse_change('an OCSP signer goes from intended to signed once and otherwise never changes');
CREATE TRIGGER ocsp_signers_are_kept BEFORE DELETE ON ocsp_signers FOR EACH ROW
  EXECUTE FUNCTION refuse_change('OCSP signers are kept: a serial is never used again');

-- One row for each time a signer's key is used, however many answers it signs then.
CREATE TABLE ocsp_batches (
  batch_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  issuer_id         text COLLATE "C" NOT NULL REFERENCES issuers,
  signer_serial_hex text COLLATE "C" NOT NULL REFERENCES ocsp_signers,
  answers           integer NOT NULL CHECK (answers > 0),
  intended_at       timestamptz NOT NULL,
  signed_at         timestamptz
);

CREATE TRIGGER ocsp_batches_are_signed_once BEFORE UPDATE ON ocsp_batches FOR EACH ROW
  WHEN (OLD.signed_at IS NOT NULL
    OR (OLD.batch_id, OLD.issuer_id, OLD.signer_serial_hex, OLD.answers, OLD.intended_at)
    IS DISTINCT FROM (NEW.batch_id, NEW.issuer_id, NEW.signer_serial_hex, NEW.answers, NEW.intended_at))
  EXECUTE FUNCTION refuse_change('a batch of OCSP answers is signed once and otherwise never changes');
CREATE TRIGGER ocsp_batches_are_kept BEFORE DELETE ON ocsp_batches FOR EACH ROW
  EXECUTE FUNCTION refuse_change('batches of OCSP answers are kept: each is a use of a key');

-- What a batch is about to sign, to the byte. Gone once it is signed: the answer holds the same bytes.
CREATE TABLE ocsp_intents (
  batch_id   bigint NOT NULL REFERENCES ocsp_batches,
  serial_hex text COLLATE "C" NOT NULL,
  -- The digest that the answer's CertID is made with.
  hash       text NOT NULL CHECK (hash IN ('sha1', 'sha256')),
  tbs_der    bytea NOT NULL,
  PRIMARY KEY (batch_id, serial_hex, hash)
);

CREATE TRIGGER ocsp_intents_never_change BEFORE UPDATE ON ocsp_intents FOR EACH ROW
  EXECUTE FUNCTION refuse_change('an intended OCSP answer never changes');

-- The newest answer about each serial, one for each digest; what the responder gives out.
CREATE TABLE ocsp_answers (
  issuer_id   text COLLATE "C" NOT NULL REFERENCES issuers,
  serial_hex  text COLLATE "C" NOT NULL,
  hash        text NOT NULL CHECK (hash IN ('sha1', 'sha256')),
  status      text NOT NULL CHECK (status IN ('good', 'revoked')),
  this_update timestamptz NOT NULL,
  next_update timestamptz NOT NULL CHECK (next_update > this_update),
  -- Of the certificate it is about.
  not_after   timestamptz NOT NULL,
  answer_der  bytea NOT NULL,
  batch_id    bigint NOT NULL REFERENCES ocsp_batches,
  PRIMARY KEY (issuer_id, serial_hex, hash)
);

CREATE INDEX ocsp_answers_by_age ON ocsp_answers (issuer_id, this_update);

CREATE FUNCTION refuse_older_ocsp_answer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND ((OLD.status = 'revoked' AND NEW.status <> 'revoked') OR OLD.this_update > NEW.this_update) THEN
    RAISE EXCEPTION 'an OCSP answer is never replaced by an older one, and revoked never by good'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
  END IF;
  IF NEW.status = 'good' AND EXISTS (SELECT 1 FROM revocations WHERE serial_hex = NEW.serial_hex) THEN
    RAISE EXCEPTION 'a revoked serial is never answered good' USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER ocsp_answers_only_move_on BEFORE INSERT OR UPDATE ON ocsp_answers FOR EACH ROW
  EXECUTE FUNCTION refuse_older_ocsp_answer();

-- An address printed into certificates, fetched as anybody would and verified. What was found is kept with it.
CREATE TABLE issuer_addresses (
  issuer_id    text COLLATE "C" NOT NULL REFERENCES issuers,
  kind         text NOT NULL CHECK (kind IN ('crl', 'issuer', 'ocsp')),
  url          text NOT NULL,
  -- The first time it was right; null: never yet. Never taken back: an outage is an alarm, not a stop.
  verified_at  timestamptz,
  -- The last time it was right, with what came back.
  seen_at      timestamptz,
  sha256_hex   text CHECK (sha256_hex ~ '^[0-9a-f]{64}$'),
  found        text,
  -- The last time it was not, and why.
  failed_at    timestamptz,
  failure      text,
  PRIMARY KEY (issuer_id, kind, url),
  CHECK ((verified_at IS NULL) = (seen_at IS NULL)),
  CHECK ((verified_at IS NULL) = (sha256_hex IS NULL)),
  CHECK ((failed_at IS NULL) = (failure IS NULL))
);

CREATE TRIGGER issuer_addresses_stay_verified BEFORE UPDATE ON issuer_addresses FOR EACH ROW
  WHEN ((OLD.issuer_id, OLD.kind, OLD.url) IS DISTINCT FROM (NEW.issuer_id, NEW.kind, NEW.url)
    OR (OLD.verified_at IS NOT NULL AND NEW.verified_at IS DISTINCT FROM OLD.verified_at))
  EXECUTE FUNCTION refuse_change('that an address was verified is never taken back');
CREATE TRIGGER issuer_addresses_are_kept BEFORE DELETE ON issuer_addresses FOR EACH ROW
  EXECUTE FUNCTION refuse_change('verified addresses are kept');

-- The responder's own right: to read answers, and to know our issuers by their certificates. A login for it is a member of
-- this role (docs/deploy.md). Whoever migrates without the right to make roles goes without.
DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_ocsp') THEN
    CREATE ROLE sealwright_ocsp NOLOGIN;
  END IF;
EXCEPTION
  WHEN insufficient_privilege THEN
    RAISE NOTICE 'No right to make the role sealwright_ocsp: make it by hand and grant it what this migration says.';
  WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$;

DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_ocsp') THEN
    GRANT SELECT ON ocsp_answers, migrations TO sealwright_ocsp;
    GRANT SELECT (issuer_id, certificate_der, state) ON issuers TO sealwright_ocsp;
  END IF;
END
$$;
