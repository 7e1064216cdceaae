-- A sweep counts while it compares which rules cover somebody, so that a rule that covers nobody is named without a second reading of
-- the directory; and whether that was said of the policy that was followed, so that it is tried again until it was.

ALTER TABLE sweeps
  -- Names of rules that cover somebody among the users of this pass; null where that is not known.
  ADD COLUMN covering text[];
-- Of the sweep under way the pages before this migration were not counted.
ALTER TABLE sweeps ALTER COLUMN covering SET DEFAULT '{}';

ALTER TABLE policy_following
  ADD COLUMN rules_judged boolean NOT NULL DEFAULT false;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_sweep') THEN RETURN; END IF;
  GRANT UPDATE (covering) ON sweeps TO sealwright_sweep;
  GRANT UPDATE (rules_judged) ON policy_following TO sealwright_sweep;
END
$$;
