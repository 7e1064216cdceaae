-- Revocations that no published CRL lists yet. A row comes with the revocation, in its transaction, and goes with the
-- publication of a CRL that was seen to list it: whether the public CRL is complete is one look at an index, and does not depend on
-- whose clock dated what, nor on which of two transactions was committed first.
CREATE TABLE unlisted_revocations (
  serial_hex text COLLATE "C" PRIMARY KEY REFERENCES revocations,
  issuer_id  text COLLATE "C" NOT NULL REFERENCES issuers
);

CREATE INDEX unlisted_revocations_of_issuer ON unlisted_revocations (issuer_id, serial_hex);

CREATE FUNCTION remember_unlisted_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO unlisted_revocations (serial_hex, issuer_id)
  SELECT serial_hex, issuer_id FROM leaves WHERE serial_hex = NEW.serial_hex;
  RETURN NULL;
END
$$;

CREATE TRIGGER revocations_are_to_be_listed AFTER INSERT ON revocations FOR EACH ROW
  EXECUTE FUNCTION remember_unlisted_revocation();

-- Those that a CRL lists already are taken out by the next publication, which each of these asks for.
INSERT INTO unlisted_revocations (serial_hex, issuer_id)
SELECT leaf.serial_hex, leaf.issuer_id
  FROM revocations JOIN leaves AS leaf USING (serial_hex)
 WHERE NOT EXISTS (SELECT 1 FROM last_entries WHERE serial_hex = leaf.serial_hex);

-- A CRL of a million entries is 51 MB of serials, which do not compress; kept plain, it can be read a slice at a time.
ALTER TABLE crls ALTER COLUMN tbs_der SET STORAGE EXTERNAL, ALTER COLUMN crl_der SET STORAGE EXTERNAL;
