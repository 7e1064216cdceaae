-- Whom `due` hinted at, so that it does not hint at everybody again every minute until they are looked at: a hint that waits in
-- Pub/Sub is as good as one that went out just now, and each costs a look.

CREATE TABLE due_hints (
  user_id   text COLLATE "C" PRIMARY KEY,
  -- For what: the time that came, to the millisecond, or the fence of the lease that ran out. Whoever is due for another is hinted at anew.
  due_at    timestamptz,
  fence     bigint,
  hinted_at timestamptz NOT NULL,
  CONSTRAINT due_hints_occasion_check CHECK (num_nonnulls(due_at, fence) = 1)
);

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_due') THEN RETURN; END IF;
  GRANT SELECT, INSERT, DELETE, UPDATE (due_at, fence, hinted_at) ON due_hints TO sealwright_due;
END
$$;

-- The waves take what `due` leaves of a minute.
DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_sweep') THEN RETURN; END IF;
  GRANT SELECT ON due_hints TO sealwright_sweep;
END
$$;
