-- What the sources brought and when, channels that are over and still heard of, entries followed already, and the pace of
-- calls to Google.
--
--   source   watch: notifications of the directory; audit: entries of the log sink; reports: entries read from the Reports API
--   oddity   what a source brought that is not followed, counted by kind and name
--   pace     a quota of Google's that all instances spend together

CREATE TABLE sources (
  source      text PRIMARY KEY CHECK (source IN ('watch', 'audit', 'reports')),
  entries     bigint NOT NULL,
  -- When the last one came, and the latest instant any of them tells of; null: none ever came.
  received_at timestamptz,
  happened_at timestamptz,
  -- Since when another source has brought what this one should have brought as well.
  missed_since timestamptz
);

CREATE TABLE source_oddities (
  source   text NOT NULL CHECK (source IN ('watch', 'audit', 'reports')),
  kind     text NOT NULL,
  -- What it was, where that says something: the name of an event, the number of an organization.
  name     text NOT NULL,
  count    bigint NOT NULL,
  first_at timestamptz NOT NULL,
  last_at  timestamptz NOT NULL,
  PRIMARY KEY (source, kind, name)
);

-- Entries of the audit log by the id that the log sink and the Reports API both give them.
CREATE TABLE followed_entries (
  entry_key   text COLLATE "C" PRIMARY KEY,
  followed_at timestamptz NOT NULL
);

CREATE INDEX followed_entries_age ON followed_entries (followed_at);

-- One row: how far the Reports API was read, and what became of the last reading.
CREATE TABLE reports_reading (
  one        boolean PRIMARY KEY DEFAULT true CHECK (one),
  -- Every entry up to here was read; null before the first whole reading.
  through    timestamptz,
  read_at    timestamptz,
  -- Entries that only the Reports API brought, in the last whole reading.
  gaps       integer NOT NULL DEFAULT 0,
  -- Readings in a row that failed, and why the last one did.
  failures   integer NOT NULL DEFAULT 0,
  why        text
);

ALTER TABLE channels
  -- Since when it is not ours to listen to any more; the row stays for a while, so that its notifications are known.
  ADD COLUMN retired_at timestamptz,
  -- A notification came through it after that: Google has to be asked to stop it.
  ADD COLUMN heard_at   timestamptz;

CREATE TABLE paces (
  pace    text PRIMARY KEY,
  -- The generic cell rate algorithm's theoretical arrival time: when everything granted will have been earned.
  next_at timestamptz NOT NULL,
  -- How long the last one to ask has to wait; null: it was granted nothing.
  wait_ms double precision
);
