-- Answers of OCSP about certificates that ended, and what batches that were refused would have said, are of no use to anybody:
-- publish-crl deletes them. `ocsp_answers_by_age` finds them, as nobody makes such an answer anew.

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_publish_crl') THEN RETURN; END IF;
  GRANT DELETE ON ocsp_answers TO sealwright_publish_crl;
  GRANT SELECT, DELETE ON ocsp_intents TO sealwright_publish_crl;
END
$$;
