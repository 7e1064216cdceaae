-- For whose sake whoever holds a lease looks once more: the trail names that cause with what the further look does.

ALTER TABLE leases
  -- The cause of the last request (source, eventId, event, actor, at); of a meaning only while `look_again` is true.
  ADD COLUMN asked jsonb;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['directory_event', 'due', 'sweep', 'publish_crl', 'admin'] LOOP
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_' || name) THEN
      EXECUTE format('GRANT UPDATE (asked) ON leases TO %I', 'sealwright_' || name);
    END IF;
  END LOOP;
END
$$;
