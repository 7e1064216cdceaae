-- `audit verify` holds the live trail against where each chain ends by the ledger's own account, so the admin function may read it.

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_admin') THEN RETURN; END IF;
  GRANT SELECT ON audit_chains TO sealwright_admin;
END
$$;
