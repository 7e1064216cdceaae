-- The members of a large group are read in several invocations of a sweep: how far, and who they are. They go when the pass does.

CREATE TABLE sweep_members (
  sweep_id bigint NOT NULL REFERENCES sweeps,
  position bigint GENERATED ALWAYS AS IDENTITY,
  group_id text   NOT NULL,
  packed   bytea  NOT NULL CHECK (length(packed) % 12 = 0),
  PRIMARY KEY (sweep_id, position)
);

COMMENT ON COLUMN sweep_members.packed IS 'Of each user three little-endian words: shared/domain/packed-id.ts.';

-- Compressing ids costs more time than it saves room.
ALTER TABLE sweep_members ALTER COLUMN packed SET STORAGE EXTERNAL;

ALTER TABLE sweeps
  -- Of each group: groupId, pageToken while pages are left, holdsEverybody, members read so far.
  ADD COLUMN groups jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(groups) = 'array');

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_sweep') THEN RETURN; END IF;
  GRANT SELECT, INSERT (sweep_id, group_id, packed), DELETE ON sweep_members TO sealwright_sweep;
  GRANT UPDATE (groups) ON sweeps TO sealwright_sweep;
END
$$;
