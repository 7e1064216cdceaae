-- The status says how many hints wait for the directory to show somebody, and since when.

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_admin') THEN RETURN; END IF;
  GRANT SELECT ON put_off_hints TO sealwright_admin;
END
$$;
