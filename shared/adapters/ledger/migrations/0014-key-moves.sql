-- Moving old key pairs to another key service: the wrapped key is wrapped again there and uploaded again with the same
-- certificate, so that the old service can be switched off. One row per key pair that an admin's job names.
CREATE TABLE key_move_jobs (
  job_id        text COLLATE "C" PRIMARY KEY,
  from_url      text NOT NULL,
  to_url        text NOT NULL CHECK (to_url <> from_url),
  -- Disable the pair under the old service once the new one is there.
  disable_old   boolean NOT NULL,
  requested_by  text NOT NULL,
  requested_at  timestamptz NOT NULL
);

CREATE TABLE key_moves (
  job_id        text COLLATE "C" NOT NULL REFERENCES key_move_jobs,
  serial_hex    text COLLATE "C" NOT NULL REFERENCES keypairs,
  user_id       text COLLATE "C" NOT NULL REFERENCES users,
  state         text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'moved', 'refused')),
  -- The form wrapped by the new service, committed before Gmail sees it.
  wrapped_key   text,
  -- Gmail's id of the second pair.
  keypair_id    text,
  detail        text,
  closed_at     timestamptz,
  PRIMARY KEY (job_id, serial_hex),
  CHECK ((state = 'open') = (closed_at IS NULL)),
  CHECK (state <> 'moved' OR (wrapped_key IS NOT NULL AND keypair_id IS NOT NULL))
);

CREATE UNIQUE INDEX key_moves_open ON key_moves (serial_hex) WHERE state = 'open';
CREATE INDEX key_moves_of_user ON key_moves (user_id) WHERE state = 'open';

-- A key that was moved follows the rotations of the service it is at now.
CREATE OR REPLACE VIEW newest_wrapped_keys AS
  SELECT k.key_id, k.user_id, coalesce(m.to_url, k.key_service_url) AS key_service_url,
         coalesce(r.wrapped_key, k.wrapped_key) AS wrapped_key,
         coalesce(r.kek_id, k.kek_id) AS kek_id, r.key_id IS NOT NULL AS rewrapped
    FROM user_keys k
    LEFT JOIN LATERAL (SELECT * FROM rewrapped_keys WHERE rewrapped_keys.key_id = k.key_id
                        ORDER BY position DESC LIMIT 1) r ON true
    LEFT JOIN LATERAL (SELECT job.to_url FROM key_moves move JOIN key_move_jobs job USING (job_id)
                         JOIN leaves leaf USING (serial_hex)
                        WHERE leaf.key_id = k.key_id AND move.state = 'moved'
                        ORDER BY move.closed_at DESC LIMIT 1) m ON true
   WHERE k.card_description IS NULL;
