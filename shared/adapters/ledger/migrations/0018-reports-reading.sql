-- Reading the Reports API: where a reading under way goes on, how far back one may ask, and entries that have come and are
-- not followed yet because the look they asked for failed.

ALTER TABLE followed_entries
  -- False: it came, its look failed, and Pub/Sub delivers it again; no other source need bring it.
  ADD COLUMN followed boolean NOT NULL DEFAULT true;

ALTER TABLE reports_reading
  -- Nothing from before is ever asked for: there was no log sink then that could have lost it.
  ADD COLUMN since       timestamptz,
  ADD COLUMN tried_at    timestamptz,
  -- When a reading last reached far back, for entries that come days late.
  ADD COLUMN deep_at     timestamptz,
  -- The reading under way: its window, the list it is at and the page it asks for next; null: none is.
  ADD COLUMN window_from timestamptz,
  ADD COLUMN window_to   timestamptz,
  ADD COLUMN is_deep     boolean,
  ADD COLUMN application text,
  ADD COLUMN page_token  text,
  -- What it has found so far that the log sink had not brought.
  ADD COLUMN found       integer,
  ADD CONSTRAINT reports_reading_window CHECK (
    (window_from IS NULL) = (window_to IS NULL) AND (window_from IS NULL) = (application IS NULL)
    AND (window_from IS NULL) = (found IS NULL) AND (window_from IS NULL) = (is_deep IS NULL)
    AND window_from < window_to
  );
