-- Sweeps of the directory, what they found missing, and the hints that wait for their wave.
--
--   sweep    one reading of the directory, of everybody (scope '/') or of one org unit's subtree; goes on over several
--            invocations from the page token it kept
--   pass     one attempt of a sweep at reading every page; a page token that has expired begins another pass
--   absence  a whole sweep found a user of ours neither among the living nor among the deleted
--   wave     the hints let out of the queue in one minute; a rollout is a queue from its first hint to its last user

ALTER TABLE users
  -- When a look last found the user in the directory.
  ADD COLUMN sighted_at timestamptz,
  -- Of the addresses of that sighting (shared/domain/address-digest.ts); null before the first sighting that wrote one.
  ADD COLUMN address_digest integer;

CREATE INDEX users_sighted ON users (sighted_at NULLS FIRST) WHERE state = 'ready';

CREATE TABLE sweeps (
  sweep_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  scope        text NOT NULL CHECK (scope ~ '^/'),
  state        text NOT NULL CHECK (state IN ('waiting', 'running', 'whole', 'not-whole')),
  -- What asked for it, for the audit trail: the schedule or an entry of the audit log.
  cause_id     text NOT NULL,
  cause_event  text NOT NULL,
  requested_at timestamptz NOT NULL,
  started_at   timestamptz,
  ended_at     timestamptz,
  -- When the pass under way asked for its first page.
  pass_at      timestamptz,
  passes       integer NOT NULL DEFAULT 0,
  phase        text NOT NULL DEFAULT 'living' CHECK (phase IN ('living', 'deleted', 'close')),
  -- Of the next page; null for the first one of a phase.
  page_token   text,
  pages        integer NOT NULL DEFAULT 0,
  living       integer NOT NULL DEFAULT 0,
  deleted      integer NOT NULL DEFAULT 0,
  differing    integer NOT NULL DEFAULT 0,
  sampled      integer NOT NULL DEFAULT 0,
  -- Users of ours in neither list; known once the sweep is whole.
  missing      integer,
  -- Invocations in a row that could not read on.
  failures     integer NOT NULL DEFAULT 0,
  -- Why it is not whole, or why it does not go on.
  why          text,
  CHECK ((state = 'waiting') = (started_at IS NULL)),
  CHECK ((state IN ('whole', 'not-whole')) = (ended_at IS NOT NULL))
);

CREATE UNIQUE INDEX sweeps_one_at_a_time ON sweeps (state) WHERE state = 'running';
CREATE UNIQUE INDEX sweeps_asked_for_once ON sweeps (scope) WHERE state = 'waiting';
CREATE INDEX sweeps_of_everybody ON sweeps (sweep_id) WHERE scope = '/';

-- Whom the pass under way has seen, so that a sweep goes on where it was: ids parted by blanks, several pages a row.
-- Emptied when the sweep ends.
CREATE TABLE sweep_seen (
  sweep_id bigint NOT NULL REFERENCES sweeps,
  position bigint GENERATED ALWAYS AS IDENTITY,
  user_ids text NOT NULL,
  PRIMARY KEY (sweep_id, position)
);

-- Digits compress by half and cost more time than they save.
ALTER TABLE sweep_seen ALTER COLUMN user_ids SET STORAGE EXTERNAL;

CREATE TABLE absences (
  user_id         text COLLATE "C" PRIMARY KEY REFERENCES users,
  -- End of the first whole sweep that missed the user, and the first page of the last one that did.
  first_missed_at timestamptz NOT NULL,
  last_missed_at  timestamptz NOT NULL,
  first_sweep     bigint NOT NULL REFERENCES sweeps,
  last_sweep      bigint NOT NULL REFERENCES sweeps
);

CREATE TABLE rollouts (
  rollout_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  begun_at        timestamptz NOT NULL,
  ended_at        timestamptz
);

CREATE UNIQUE INDEX rollouts_one_at_a_time ON rollouts ((true)) WHERE ended_at IS NULL;

CREATE TABLE rollout_users (
  user_id     text COLLATE "C" PRIMARY KEY,
  rollout_id  bigint NOT NULL REFERENCES rollouts,
  kind        text NOT NULL CHECK (kind IN ('came-into-scope', 'rule-changed', 'look-by-age')),
  sweep_id    bigint NOT NULL REFERENCES sweeps,
  waiting_since timestamptz NOT NULL,
  -- When the last hint went out; null while it waits.
  hinted_at   timestamptz,
  hints       integer NOT NULL DEFAULT 0
);

CREATE INDEX rollout_users_waiting ON rollout_users ((kind = 'look-by-age'), waiting_since, user_id)
  WHERE hinted_at IS NULL;
CREATE INDEX rollout_users_hinted ON rollout_users (hinted_at) WHERE hinted_at IS NOT NULL;

-- One row: whether waves go out at all.
CREATE TABLE rollout_switch (
  only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  paused     boolean NOT NULL,
  changed_by text NOT NULL,
  changed_at timestamptz NOT NULL
);
