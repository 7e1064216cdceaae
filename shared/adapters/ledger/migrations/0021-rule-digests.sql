-- A rule that changes under its name: under which form of it everybody was last looked at, which policy was followed, and
-- hints that wait because of a policy and not because of a sweep.

ALTER TABLE users
  -- Of the covering rule at the last look (shared/plan/rule-digest.ts); null before the first look that wrote one.
  ADD COLUMN rule_digest text COLLATE "C";

ALTER TABLE rollout_users
  ALTER COLUMN sweep_id DROP NOT NULL,
  -- The activation that changed their rule.
  ADD COLUMN policy text COLLATE "C",
  ADD CONSTRAINT rollout_users_origin CHECK ((sweep_id IS NULL) <> (policy IS NULL));

-- One row: the activation whose changes everybody concerned was put into the queue for, and a newer one that was noticed.
CREATE TABLE policy_following (
  only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  followed   text NOT NULL,
  followed_at timestamptz NOT NULL,
  noticed    text,
  noticed_at timestamptz,
  CHECK ((noticed IS NULL) = (noticed_at IS NULL))
);

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_directory_event') THEN RETURN; END IF;
  GRANT INSERT (rule_digest), UPDATE (rule_digest) ON users TO sealwright_directory_event;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_sweep') THEN RETURN; END IF;
  GRANT SELECT ON policy_following TO sealwright_sweep;
  GRANT INSERT (followed, followed_at), UPDATE (followed, followed_at, noticed, noticed_at) ON policy_following
    TO sealwright_sweep;
  GRANT INSERT (policy), UPDATE (policy) ON rollout_users TO sealwright_sweep;
END
$$;
