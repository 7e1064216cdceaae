-- The guard's latches and what they hold, the stop switch, and requests about single key pairs.
--
--   unit        the org unit in which a user was last seen covered, lower case; what the guard counts by
--   held set    departures that wait together for one decision; while one of scope `tenant` or `unit:…` is open,
--               that scope is latched: nobody in it departs
--   `protected` departures of protected accounts; `again`: departures that were dismissed, or whose steps changed
--               after their approval; neither latches anything

ALTER TABLE users ADD COLUMN unit text COLLATE "C" CHECK (unit = lower(unit) AND unit LIKE '/%');

CREATE TABLE held_sets (
  set_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  scope      text COLLATE "C" NOT NULL CHECK (scope IN ('tenant', 'protected', 'again') OR scope LIKE 'unit:/%'),
  -- Why it was opened: the limit that was passed.
  reason     text NOT NULL,
  opened_at  timestamptz NOT NULL,
  state      text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'dismissed')),
  -- Of exactly what was decided on.
  digest     text,
  decided_by text,
  decided_at timestamptz,
  -- The job under which an approval is followed.
  job_id     text COLLATE "C" UNIQUE,
  CHECK ((state = 'open') = (digest IS NULL)),
  CHECK ((state = 'open') = (decided_by IS NULL)),
  CHECK ((state = 'open') = (decided_at IS NULL)),
  CHECK ((state = 'approved') = (job_id IS NOT NULL))
);

CREATE UNIQUE INDEX held_sets_one_open ON held_sets (scope) WHERE state = 'open';

CREATE TRIGGER held_sets_are_decided_once BEFORE UPDATE ON held_sets FOR EACH ROW
  WHEN (OLD.state <> 'open'
    OR (OLD.set_id, OLD.scope, OLD.reason, OLD.opened_at)
       IS DISTINCT FROM (NEW.set_id, NEW.scope, NEW.reason, NEW.opened_at))
  EXECUTE FUNCTION refuse_change('a held set is decided once and otherwise never changes');
CREATE TRIGGER held_sets_are_kept BEFORE DELETE ON held_sets FOR EACH ROW
  EXECUTE FUNCTION refuse_change('held sets are kept');

CREATE TABLE held_departures (
  set_id        bigint NOT NULL REFERENCES held_sets,
  user_id       text COLLATE "C" NOT NULL REFERENCES users,
  -- The address when it was held, which is what the admin recognises.
  primary_email text NOT NULL,
  unit          text,
  -- What would be done, one object for each step, in order.
  steps         jsonb NOT NULL CHECK (jsonb_typeof(steps) = 'array'),
  held_at       timestamptz NOT NULL,
  -- held: waits. approved: may be carried out as shown. dismissed: not done for a while. The rest is history:
  -- done; withdrawn and unneeded (before and after the decision the facts no longer asked for it); changed (other steps,
  -- held anew); lapsed (dismissed long ago, held again).
  state         text NOT NULL CHECK (state IN ('held', 'approved', 'dismissed', 'done', 'unneeded', 'withdrawn',
                                                   'changed', 'lapsed')),
  detail        text,
  closed_at     timestamptz,
  PRIMARY KEY (set_id, user_id),
  CHECK ((state IN ('held', 'approved', 'dismissed')) = (closed_at IS NULL))
);

-- A user has one departure at a time.
CREATE UNIQUE INDEX held_departures_standing ON held_departures (user_id)
  WHERE state IN ('held', 'approved', 'dismissed');

CREATE TRIGGER held_departures_are_kept BEFORE DELETE ON held_departures FOR EACH ROW
  EXECUTE FUNCTION refuse_change('held departures are kept');

CREATE TABLE stops (
  stop_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  reason     text NOT NULL CHECK (reason <> ''),
  stopped_by text NOT NULL,
  stopped_at timestamptz NOT NULL,
  resumed_by text,
  resumed_at timestamptz,
  CHECK ((resumed_by IS NULL) = (resumed_at IS NULL))
);

CREATE UNIQUE INDEX stops_one_in_force ON stops ((true)) WHERE resumed_at IS NULL;

CREATE TRIGGER stops_end_once BEFORE UPDATE ON stops FOR EACH ROW
  WHEN (OLD.resumed_at IS NOT NULL
    OR (OLD.stop_id, OLD.reason, OLD.stopped_by, OLD.stopped_at)
       IS DISTINCT FROM (NEW.stop_id, NEW.reason, NEW.stopped_by, NEW.stopped_at))
  EXECUTE FUNCTION refuse_change('a stop ends once and otherwise never changes');
CREATE TRIGGER stops_are_kept BEFORE DELETE ON stops FOR EACH ROW
  EXECUTE FUNCTION refuse_change('stops are kept');

CREATE TABLE keypair_requests (
  request_id    text COLLATE "C" PRIMARY KEY,
  kind          text NOT NULL CHECK (kind IN ('disable', 'obliterate')),
  user_id       text COLLATE "C" NOT NULL REFERENCES users,
  primary_email text NOT NULL,
  serial_hex    text COLLATE "C" NOT NULL REFERENCES keypairs,
  -- Gmail's id.
  keypair_id    text NOT NULL,
  -- disable: why. obliterate: the admin's statement that no legal hold exists.
  reason        text NOT NULL CHECK (reason <> ''),
  requested_by  text NOT NULL,
  requested_at  timestamptz NOT NULL,
  -- obliterate: what becomes unreadable, as it was shown.
  statement     jsonb CHECK (jsonb_typeof(statement) = 'object'),
  confirmed_by  text,
  confirmed_at  timestamptz,
  -- requested: waits for a second admin. confirmed: waits for its turn.
  state         text NOT NULL CHECK (state IN ('requested', 'confirmed', 'done', 'refused', 'cancelled')),
  detail        text,
  closed_at     timestamptz,
  CHECK ((kind = 'obliterate') = (statement IS NOT NULL)),
  CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
  CHECK (kind <> 'obliterate' OR state NOT IN ('confirmed', 'done') OR confirmed_by IS NOT NULL),
  CONSTRAINT keypair_requests_two_admins CHECK (confirmed_by <> requested_by),
  CHECK ((state IN ('requested', 'confirmed')) = (closed_at IS NULL))
);

CREATE UNIQUE INDEX keypair_requests_open ON keypair_requests (user_id, keypair_id)
  WHERE state IN ('requested', 'confirmed');

CREATE TRIGGER keypair_requests_close_once BEFORE UPDATE ON keypair_requests FOR EACH ROW
  WHEN (OLD.closed_at IS NOT NULL
    OR OLD.confirmed_by IS NOT NULL AND OLD.confirmed_by IS DISTINCT FROM NEW.confirmed_by
    OR (OLD.request_id, OLD.kind, OLD.user_id, OLD.primary_email, OLD.serial_hex, OLD.keypair_id, OLD.reason,
        OLD.requested_by, OLD.requested_at, OLD.statement)
       IS DISTINCT FROM (NEW.request_id, NEW.kind, NEW.user_id, NEW.primary_email, NEW.serial_hex, NEW.keypair_id,
        NEW.reason, NEW.requested_by, NEW.requested_at, NEW.statement))
  EXECUTE FUNCTION refuse_change('a request about a key pair is confirmed and closed once and otherwise never changes');
CREATE TRIGGER keypair_requests_are_kept BEFORE DELETE ON keypair_requests FOR EACH ROW
  EXECUTE FUNCTION refuse_change('requests about key pairs are kept');
