-- The entries of a CRL in blocks, each kept once however many CRLs have it: where a block ends is said by the serials in it, so
-- the next CRL has all blocks but one in common with the last. The signed CRL is not kept beside the to-be-signed one: it is that
-- and the signature behind it.
CREATE TABLE crl_blocks (
  issuer_id  text COLLATE "C" NOT NULL REFERENCES issuers,
  sha256_hex text COLLATE "C" NOT NULL CHECK (sha256_hex ~ '^[0-9a-f]{64}$'),
  bytes      bytea NOT NULL,
  PRIMARY KEY (issuer_id, sha256_hex)
);

-- Serials do not compress.
ALTER TABLE crl_blocks ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE TRIGGER crl_blocks_never_change BEFORE UPDATE ON crl_blocks FOR EACH ROW
  EXECUTE FUNCTION refuse_change('a block of a CRL never changes');

DROP TRIGGER crls_only_move_on ON crls;
DROP TRIGGER crls_publish_in_order ON crls;

ALTER TABLE crls
  -- What stands before and after the entries in the TBSCertList, and the blocks between in their order.
  ADD COLUMN tbs_head bytea,
  ADD COLUMN tbs_tail bytea,
  ADD COLUMN blocks text[] NOT NULL DEFAULT '{}',
  -- What follows the TBSCertList: algorithm and signature.
  ADD COLUMN end_der bytea,
  -- When head, blocks and tail were taken out, after the CRL had ended.
  ADD COLUMN pruned_at timestamptz;

-- crl_der is tag, length, TBSCertList, algorithm and signature.
UPDATE crls SET
  tbs_head = tbs_der,
  tbs_tail = '',
  end_der = substring(crl_der FROM 3 + CASE WHEN get_byte(crl_der, 1) < 128 THEN 0 ELSE get_byte(crl_der, 1) - 128 END
                                     + length(tbs_der));

ALTER TABLE crls DROP COLUMN tbs_der, DROP COLUMN crl_der,
  ADD CHECK ((state = 'intended') = (end_der IS NULL)),
  ADD CHECK ((pruned_at IS NULL) = (tbs_head IS NOT NULL)),
  ADD CHECK ((pruned_at IS NULL) = (tbs_tail IS NOT NULL)),
  ADD CHECK (pruned_at IS NULL OR blocks = '{}');

CREATE TRIGGER crls_publish_in_order BEFORE UPDATE ON crls FOR EACH ROW
  WHEN (OLD.state <> 'published' AND NEW.state = 'published') EXECUTE FUNCTION refuse_older_crl();

CREATE FUNCTION refuse_crl_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.issuer_id, OLD.crl_number, OLD.this_update, OLD.next_update, OLD.intended_at)
     IS DISTINCT FROM (NEW.issuer_id, NEW.crl_number, NEW.this_update, NEW.next_update, NEW.intended_at)
  THEN
    RAISE EXCEPTION 'a CRL goes from intended to signed to published and otherwise never changes'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
  END IF;
  IF NEW.pruned_at IS NOT NULL THEN
    IF OLD.pruned_at IS NOT NULL
      OR (OLD.state, OLD.end_der, OLD.signed_at, OLD.published_at)
         IS DISTINCT FROM (NEW.state, NEW.end_der, NEW.signed_at, NEW.published_at)
      OR NEW.pruned_at <= OLD.next_update
      OR NOT EXISTS (SELECT 1 FROM crls
                      WHERE issuer_id = OLD.issuer_id AND crl_number > OLD.crl_number AND state = 'published')
    THEN
      RAISE EXCEPTION 'the bytes of a CRL are kept until it has ended and a later one is published'
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
  END IF;
  IF OLD.state = 'published'
    OR (OLD.state = 'signed' AND (NEW.state <> 'published' OR NEW.end_der IS DISTINCT FROM OLD.end_der))
    OR (OLD.state = 'intended' AND NEW.state <> 'signed')
    OR (OLD.tbs_head, OLD.tbs_tail, OLD.blocks) IS DISTINCT FROM (NEW.tbs_head, NEW.tbs_tail, NEW.blocks)
  THEN
    RAISE EXCEPTION 'a CRL goes from intended to signed to published and otherwise never changes'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER crls_only_move_on BEFORE UPDATE ON crls FOR EACH ROW EXECUTE FUNCTION refuse_crl_change();

-- Whom the next CRL must list, in the order it lists them and with nothing else in between: joining a million revocations with
-- their leaves, whose rows are long and lie in the order they were issued, takes longer than making and signing the CRL. A row comes
-- with the revocation, in its transaction, and goes when a CRL made after the certificate's end has listed it.
CREATE TABLE crl_entries (
  issuer_id       text COLLATE "C" NOT NULL REFERENCES issuers,
  serial_hex      text COLLATE "C" NOT NULL REFERENCES revocations,
  reason          text NOT NULL,
  revoked_at      timestamptz NOT NULL,
  invalidity_date timestamptz,
  not_after       timestamptz NOT NULL,
  PRIMARY KEY (issuer_id, serial_hex) INCLUDE (reason, revoked_at, invalidity_date, not_after)
);

CREATE INDEX crl_entries_by_end ON crl_entries (issuer_id, not_after);

CREATE FUNCTION remember_crl_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO crl_entries (issuer_id, serial_hex, reason, revoked_at, invalidity_date, not_after)
  SELECT issuer_id, serial_hex, NEW.reason, NEW.revoked_at, NEW.invalidity_date, not_after
    FROM leaves WHERE serial_hex = NEW.serial_hex;
  RETURN NULL;
END
$$;

CREATE TRIGGER revocations_are_entries AFTER INSERT ON revocations FOR EACH ROW EXECUTE FUNCTION remember_crl_entry();

INSERT INTO crl_entries (issuer_id, serial_hex, reason, revoked_at, invalidity_date, not_after)
SELECT leaf.issuer_id, leaf.serial_hex, revocation.reason, revocation.revoked_at, revocation.invalidity_date, leaf.not_after
  FROM revocations AS revocation JOIN leaves AS leaf USING (serial_hex)
 WHERE NOT EXISTS (SELECT 1 FROM last_entries WHERE serial_hex = leaf.serial_hex);

CREATE FUNCTION refuse_early_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND EXISTS (SELECT 1 FROM last_entries WHERE serial_hex = OLD.serial_hex) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'a revoked certificate is listed until a CRL made after its end has listed it'
    USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
END
$$;

CREATE TRIGGER crl_entries_stay BEFORE UPDATE OR DELETE ON crl_entries FOR EACH ROW EXECUTE FUNCTION refuse_early_end();
CREATE TRIGGER crl_entries_are_not_emptied BEFORE TRUNCATE ON crl_entries FOR EACH STATEMENT
  EXECUTE FUNCTION refuse_change('a revoked certificate is listed until a CRL made after its end has listed it');

-- What the triggers look up and write is the ledger's own doing (migration 19).
DO $$
DECLARE
  trigger_function text;
BEGIN
  FOREACH trigger_function IN ARRAY ARRAY['remember_crl_entry', 'refuse_crl_change', 'refuse_early_end']
  LOOP
    EXECUTE format('ALTER FUNCTION %I() SECURITY DEFINER SET search_path = %I, pg_temp', trigger_function,
                   current_schema());
  END LOOP;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_sign') THEN RETURN; END IF;
  GRANT SELECT ON crl_blocks, crl_entries TO sealwright_sign;
  GRANT UPDATE (end_der) ON crls TO sealwright_sign;
  REVOKE SELECT ON last_entries FROM sealwright_sign;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_publish_crl') THEN RETURN; END IF;
  GRANT SELECT ON crl_blocks, crl_entries TO sealwright_publish_crl;
  GRANT INSERT, DELETE ON crl_blocks TO sealwright_publish_crl;
  GRANT DELETE ON crl_entries TO sealwright_publish_crl;
  GRANT INSERT (tbs_head, blocks, tbs_tail), UPDATE (pruned_at, tbs_head, blocks, tbs_tail) ON crls
    TO sealwright_publish_crl;
END
$$;
