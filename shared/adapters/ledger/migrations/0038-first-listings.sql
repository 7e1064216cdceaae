-- Which public CRL was the first to list each revocation. It is read from the CRL's own bytes at its publication: what instants say is
-- wrong as soon as both fall into one second, or the revocation is committed after the list was drawn up. A row comes with the revocation, in its
-- transaction, and has no number until it is in a public CRL.
ALTER TABLE unlisted_revocations RENAME TO crl_listings;
ALTER INDEX unlisted_revocations_pkey RENAME TO crl_listings_pkey;
ALTER TABLE crl_listings ADD COLUMN crl_number bigint, ADD FOREIGN KEY (issuer_id, crl_number) REFERENCES crls;

DROP INDEX unlisted_revocations_of_issuer;
CREATE INDEX crl_listings_none_yet ON crl_listings (issuer_id, serial_hex) WHERE crl_number IS NULL;

DROP TRIGGER revocations_are_to_be_listed ON revocations;
DROP FUNCTION remember_unlisted_revocation();

CREATE FUNCTION remember_crl_listing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO crl_listings (serial_hex, issuer_id)
  SELECT serial_hex, issuer_id FROM leaves WHERE serial_hex = NEW.serial_hex;
  RETURN NULL;
END
$$;

CREATE TRIGGER revocations_are_to_be_listed AFTER INSERT ON revocations FOR EACH ROW
  EXECUTE FUNCTION remember_crl_listing();

-- Of those that were listed before this was recorded it is inferred, once, from the instants: the first published CRL whose list was
-- complete after the revocation. Where no instant fits, the CRL that listed it last, or the next one.
INSERT INTO crl_listings (serial_hex, issuer_id, crl_number)
SELECT inferred.serial_hex, inferred.issuer_id, least(inferred.crl_number, last.crl_number)
  FROM (SELECT issuer_id, serial_hex,
               min(crl_number) OVER (PARTITION BY issuer_id ORDER BY at DESC, serial_hex NULLS FIRST
                                     ROWS UNBOUNDED PRECEDING) AS crl_number
          FROM (SELECT issuer_id, intended_at AS at, NULL AS serial_hex, crl_number FROM crls WHERE state = 'published'
                UNION ALL
                SELECT issuer_id, revoked_at, serial_hex, NULL FROM revocations JOIN leaves USING (serial_hex)) AS events
       ) AS inferred
  LEFT JOIN last_entries AS last ON last.serial_hex = inferred.serial_hex
 WHERE inferred.serial_hex IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM crl_listings AS known WHERE known.serial_hex = inferred.serial_hex);

CREATE TRIGGER crl_listings_are_written_once BEFORE UPDATE ON crl_listings FOR EACH ROW
  WHEN (OLD.crl_number IS NOT NULL OR NEW.crl_number IS NULL OR OLD.serial_hex <> NEW.serial_hex
    OR OLD.issuer_id <> NEW.issuer_id)
  EXECUTE FUNCTION refuse_change('which CRL was the first to list a revocation is written once');
CREATE TRIGGER crl_listings_are_kept BEFORE DELETE ON crl_listings FOR EACH ROW
  EXECUTE FUNCTION refuse_change('which CRL was the first to list a revocation is written once');

-- When it was written down whom this CRL is the first to list, which takes several transactions after its publication: null where the
-- publisher died in between, and then the next one does it before it publishes another.
DROP TRIGGER crls_only_move_on ON crls;
ALTER TABLE crls ADD COLUMN listed_at timestamptz, ADD CHECK (listed_at IS NULL OR state = 'published');
UPDATE crls SET listed_at = published_at WHERE state = 'published';

CREATE INDEX crls_to_finish ON crls (issuer_id) WHERE state = 'published' AND listed_at IS NULL;

CREATE OR REPLACE FUNCTION refuse_crl_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.issuer_id, OLD.crl_number, OLD.this_update, OLD.next_update, OLD.intended_at)
     IS DISTINCT FROM (NEW.issuer_id, NEW.crl_number, NEW.this_update, NEW.next_update, NEW.intended_at)
  THEN
    RAISE EXCEPTION 'a CRL goes from intended to signed to published and otherwise never changes'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
  END IF;
  IF NEW.pruned_at IS NOT NULL THEN
    IF OLD.pruned_at IS NOT NULL
      OR (OLD.state, OLD.end_der, OLD.signed_at, OLD.published_at, OLD.listed_at)
         IS DISTINCT FROM (NEW.state, NEW.end_der, NEW.signed_at, NEW.published_at, NEW.listed_at)
      OR NEW.pruned_at <= OLD.next_update
      OR OLD.state = 'published' AND OLD.listed_at IS NULL
      OR NOT EXISTS (SELECT 1 FROM crls
                      WHERE issuer_id = OLD.issuer_id AND crl_number > OLD.crl_number AND state = 'published')
    THEN
      RAISE EXCEPTION 'the bytes of a CRL are kept until it has ended and a later one is published'
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
  END IF;
  IF (OLD.state = 'published'
      AND (OLD.listed_at IS NOT NULL OR NEW.listed_at IS NULL
        OR (OLD.state, OLD.end_der, OLD.signed_at, OLD.published_at)
           IS DISTINCT FROM (NEW.state, NEW.end_der, NEW.signed_at, NEW.published_at)))
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

-- A later CRL would be taken for the first one of whomever the earlier one lists and nobody has written down yet.
CREATE OR REPLACE FUNCTION refuse_older_crl() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM issuers WHERE issuer_id = NEW.issuer_id FOR NO KEY UPDATE;
  IF TG_OP = 'INSERT' AND EXISTS
    (SELECT 1 FROM crls WHERE issuer_id = NEW.issuer_id AND crl_number >= NEW.crl_number)
  THEN
    RAISE EXCEPTION 'a CRL number only grows' USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
  END IF;
  IF TG_OP = 'UPDATE' AND EXISTS
    (SELECT 1 FROM crls
      WHERE issuer_id = NEW.issuer_id AND crl_number > NEW.crl_number AND state = 'published')
  THEN
    RAISE EXCEPTION 'a CRL with a higher number is published' USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
  END IF;
  IF TG_OP = 'UPDATE' AND EXISTS
    (SELECT 1 FROM crls WHERE issuer_id = NEW.issuer_id AND state = 'published' AND listed_at IS NULL)
  THEN
    RAISE EXCEPTION 'it is not written down yet whom the CRL before lists first'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
  END IF;
  RETURN NEW;
END
$$;

-- What the triggers look up and write is the ledger's own doing (migration 19).
DO $$
DECLARE
  trigger_function text;
BEGIN
  FOREACH trigger_function IN ARRAY ARRAY['remember_crl_listing', 'refuse_crl_change', 'refuse_older_crl']
  LOOP
    EXECUTE format('ALTER FUNCTION %I() SECURITY DEFINER SET search_path = %I, pg_temp', trigger_function,
                   current_schema());
  END LOOP;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_publish_crl') THEN RETURN; END IF;
  REVOKE DELETE ON crl_listings FROM sealwright_publish_crl;
  GRANT UPDATE (crl_number) ON crl_listings TO sealwright_publish_crl;
  GRANT UPDATE (listed_at) ON crls TO sealwright_publish_crl;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_admin') THEN RETURN; END IF;
  GRANT SELECT ON crl_listings TO sealwright_admin;
END
$$;
