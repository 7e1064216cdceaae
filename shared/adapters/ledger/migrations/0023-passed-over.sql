-- People whom an event named while no rule covered them. Nothing is done for them, so the audit trail does not tell of them;
-- a draft policy that would cover them is tried on this.

CREATE TABLE passed_over (
  user_id text COLLATE "C" PRIMARY KEY,
  -- The latest such event: when we looked, who said so and what they called it.
  at      timestamptz NOT NULL,
  source  text NOT NULL,
  event   text NOT NULL
);

CREATE INDEX passed_over_age ON passed_over (at);

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_directory_event') THEN RETURN; END IF;
  GRANT SELECT, INSERT, DELETE, UPDATE (at, source, event) ON passed_over TO sealwright_directory_event;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_admin') THEN RETURN; END IF;
  GRANT SELECT ON passed_over TO sealwright_admin;
END
$$;
