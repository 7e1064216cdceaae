-- The audit trail becomes hash chains: one for each user, and one (named '') for what concerns nobody in particular. An
-- entry's hash covers the hash before it, so that a changed, removed or inserted row shows. Once a day a checkpoint over
-- the heads of all chains is signed, so that a chain made anew from the front shows too.
--
-- What is hashed is written down in shared/audit/entry.ts, and its text comes from audit_text() here: each field as
-- "length in octets:text,", an absent one as "-,", in a fixed order.

ALTER TABLE audit
  -- When the thing happened that the cause tells of, where its source says so.
  ADD COLUMN cause_at            timestamptz,
  ADD COLUMN place               bigint,
  ADD COLUMN previous_sha256_hex text,
  ADD COLUMN sha256_hex          text;

CREATE TABLE audit_chains (
  chain      text COLLATE "C" PRIMARY KEY,
  place      bigint NOT NULL CHECK (place >= 0),
  sha256_hex text NOT NULL CHECK (sha256_hex ~ '^[0-9a-f]{64}$')
);

CREATE TRIGGER audit_chains_only_grow BEFORE UPDATE ON audit_chains FOR EACH ROW
  WHEN (NEW.chain <> OLD.chain OR NEW.place <> OLD.place + 1)
  EXECUTE FUNCTION refuse_change('a chain of the audit trail grows by one entry at a time');
CREATE TRIGGER audit_chains_are_kept BEFORE DELETE ON audit_chains FOR EACH ROW
  EXECUTE FUNCTION refuse_change('chains of the audit trail are kept');

CREATE FUNCTION audit_field(value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN value IS NULL THEN '-,' ELSE octet_length(value)::text || ':' || value || ',' END
$$;

CREATE FUNCTION audit_instant(value timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT to_char(value AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

CREATE FUNCTION audit_text(entry audit) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT audit_field('sealwright-audit/1') || audit_field(entry.previous_sha256_hex)
      || audit_field(coalesce(entry.user_id, '')) || audit_field(entry.place::text) || audit_field(entry.id::text)
      || audit_field(audit_instant(entry.at)) || audit_field(entry.cause_source) || audit_field(entry.cause_id)
      || audit_field(entry.cause_event) || audit_field(entry.cause_actor) || audit_field(audit_instant(entry.cause_at))
      || audit_field(entry.step) || audit_field(entry.reason) || audit_field(entry.outcome)
      || audit_field(entry.details::text)
$$;

-- The row lock on the chain makes two writers take turns.
CREATE FUNCTION chain_audit_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  head audit_chains;
BEGIN
  NEW.at := date_trunc('milliseconds', NEW.at);
  NEW.cause_at := date_trunc('milliseconds', NEW.cause_at);
  INSERT INTO audit_chains (chain, place, sha256_hex) VALUES (coalesce(NEW.user_id, ''), 0, repeat('0', 64))
    ON CONFLICT (chain) DO NOTHING;
  SELECT * INTO STRICT head FROM audit_chains WHERE chain = coalesce(NEW.user_id, '') FOR UPDATE;
  NEW.place := head.place + 1;
  NEW.previous_sha256_hex := head.sha256_hex;
  NEW.sha256_hex := encode(sha256(convert_to(audit_text(NEW), 'UTF8')), 'hex');
  UPDATE audit_chains SET place = NEW.place, sha256_hex = NEW.sha256_hex WHERE chain = head.chain;
  RETURN NEW;
END
$$;

-- What was written before there were chains is chained now, in the order of writing.
ALTER TABLE audit DISABLE TRIGGER audit_only_grows;
DO $$
DECLARE
  entry audit;
  head audit_chains;
BEGIN
  FOR entry IN SELECT * FROM audit ORDER BY id LOOP
    INSERT INTO audit_chains (chain, place, sha256_hex) VALUES (coalesce(entry.user_id, ''), 0, repeat('0', 64))
      ON CONFLICT (chain) DO NOTHING;
    SELECT * INTO STRICT head FROM audit_chains WHERE chain = coalesce(entry.user_id, '');
    entry.at := date_trunc('milliseconds', entry.at);
    entry.place := head.place + 1;
    entry.previous_sha256_hex := head.sha256_hex;
    entry.sha256_hex := encode(sha256(convert_to(audit_text(entry), 'UTF8')), 'hex');
    UPDATE audit_chains SET place = entry.place, sha256_hex = entry.sha256_hex WHERE chain = head.chain;
    UPDATE audit SET at = entry.at, place = entry.place, previous_sha256_hex = entry.previous_sha256_hex,
                     sha256_hex = entry.sha256_hex
     WHERE id = entry.id;
  END LOOP;
END
$$;
ALTER TABLE audit ENABLE TRIGGER audit_only_grows;

ALTER TABLE audit
  ALTER COLUMN place SET NOT NULL,
  ALTER COLUMN previous_sha256_hex SET NOT NULL,
  ALTER COLUMN sha256_hex SET NOT NULL;

CREATE UNIQUE INDEX audit_places ON audit (coalesce(user_id, ''), place);

CREATE TRIGGER audit_is_chained BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION chain_audit_entry();

-- Certificates that sign checkpoints; their keys are versions of a secret that only the function sign reads.
CREATE TABLE audit_signers (
  serial_hex         text COLLATE "C" PRIMARY KEY
                     CHECK (serial_hex ~ '^([0-7][0-9a-f])([0-9a-f]{2}){0,19}$' AND serial_hex !~ '^0+$'),
  issuer_id          text COLLATE "C" NOT NULL REFERENCES issuers,
  spki_der           bytea NOT NULL,
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

CREATE TRIGGER audit_signers_are_signed_once BEFORE UPDATE ON audit_signers FOR EACH ROW
  WHEN (OLD.state = 'signed'
    OR (OLD.serial_hex, OLD.issuer_id, OLD.spki_der, OLD.key_secret_version, OLD.profile, OLD.not_before, OLD.not_after,
        OLD.tbs_der, OLD.intended_at)
    IS DISTINCT FROM (NEW.serial_hex, NEW.issuer_id, NEW.spki_der, NEW.key_secret_version, NEW.profile, NEW.not_before,
        NEW.not_after, NEW.tbs_der, NEW.intended_at))
  EXECUTE FUNCTION refuse_change('an audit signer goes from intended to signed once and otherwise never changes');
CREATE TRIGGER audit_signers_are_kept BEFORE DELETE ON audit_signers FOR EACH ROW
  EXECUTE FUNCTION refuse_change('audit signers are kept: a serial is never used again');

-- One statement a day over the heads of all chains as they stood at one entry, signed by the audit signer.
CREATE TABLE audit_checkpoints (
  number           bigint PRIMARY KEY CHECK (number > 0),
  -- The last entry it covers; every entry up to it was committed when the checkpoint was begun.
  last_entry_id    bigint NOT NULL,
  -- The exact text that is signed.
  statement        text NOT NULL,
  signer_serial_hex text COLLATE "C" NOT NULL REFERENCES audit_signers,
  intended_at      timestamptz NOT NULL,
  -- CMS SignedData with the statement inside.
  signed_der       bytea,
  signed_at        timestamptz,
  CHECK ((signed_at IS NULL) = (signed_der IS NULL))
);

CREATE TRIGGER audit_checkpoints_are_signed_once BEFORE UPDATE ON audit_checkpoints FOR EACH ROW
  WHEN (OLD.signed_der IS NOT NULL
    OR (OLD.number, OLD.last_entry_id, OLD.statement, OLD.signer_serial_hex, OLD.intended_at)
    IS DISTINCT FROM (NEW.number, NEW.last_entry_id, NEW.statement, NEW.signer_serial_hex, NEW.intended_at))
  EXECUTE FUNCTION refuse_change('a checkpoint of the audit trail is signed once and otherwise never changes');
CREATE TRIGGER audit_checkpoints_are_kept BEFORE DELETE ON audit_checkpoints FOR EACH ROW
  EXECUTE FUNCTION refuse_change('checkpoints of the audit trail are kept');
CREATE TRIGGER audit_checkpoints_are_not_emptied BEFORE TRUNCATE ON audit_checkpoints FOR EACH STATEMENT
  EXECUTE FUNCTION refuse_change('checkpoints of the audit trail are kept');
