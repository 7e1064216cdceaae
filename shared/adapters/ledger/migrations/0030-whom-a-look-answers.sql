-- A look that was asked for meanwhile is nobody's event to come again: where its worker dies, whoever takes over says for whom it was.

ALTER TABLE leases
  -- Causes of the requests that the look under way answers beside its own event; a list as `asked` has one.
  ADD COLUMN answers jsonb NOT NULL DEFAULT '[]';

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['directory_event', 'due', 'sweep', 'publish_crl', 'admin'] LOOP
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_' || name) THEN
      EXECUTE format('GRANT UPDATE (answers) ON leases TO %I', 'sealwright_' || name);
    END IF;
  END LOOP;
END
$$;
