-- Rotation of key-encryption keys. The blob recorded with a key never changes, because Gmail keeps it; what is wrapped
-- again after a rotation stands beside it.

-- The key-encryption key that a blob of our own key service names (shared/kacls/sealing.ts: magic "SWPK", version, then a
-- text); null for blobs of other vendors' services.
CREATE FUNCTION kek_id_of(wrapped_key text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN wrapped_key ~ '^U1dQSw[A-Za-z0-9+/]{173}[A-Za-z0-9+/]{173}' THEN
    encode(substring(decode(left(wrapped_key, 352), 'base64') FROM 7
                     FOR get_byte(decode(left(wrapped_key, 8), 'base64'), 5)), 'escape') END
$$;

ALTER TABLE user_keys ADD COLUMN kek_id text COLLATE "C" GENERATED ALWAYS AS (kek_id_of(wrapped_key)) STORED;

CREATE TABLE rewrapped_keys (
  key_id       text COLLATE "C" NOT NULL REFERENCES user_keys,
  position     bigint GENERATED ALWAYS AS IDENTITY,
  wrapped_key  text NOT NULL,
  kek_id       text COLLATE "C" NOT NULL GENERATED ALWAYS AS (kek_id_of(wrapped_key)) STORED,
  rewrapped_at timestamptz NOT NULL,
  PRIMARY KEY (key_id, position)
);

CREATE TRIGGER rewrapped_keys_are_kept BEFORE UPDATE OR DELETE ON rewrapped_keys FOR EACH ROW
  EXECUTE FUNCTION refuse_change('wrapped keys are never changed or deleted: old mail is opened with them');

CREATE VIEW newest_wrapped_keys AS
  SELECT k.key_id, k.user_id, k.key_service_url, coalesce(r.wrapped_key, k.wrapped_key) AS wrapped_key,
         coalesce(r.kek_id, k.kek_id) AS kek_id, r.key_id IS NOT NULL AS rewrapped
    FROM user_keys k
    LEFT JOIN LATERAL (SELECT * FROM rewrapped_keys WHERE rewrapped_keys.key_id = k.key_id
                        ORDER BY position DESC LIMIT 1) r ON true;

-- What the key service could not open when it was last asked to wrap it again.
CREATE TABLE unreadable_keys (
  key_id        text COLLATE "C" PRIMARY KEY REFERENCES user_keys,
  kek_id        text COLLATE "C" NOT NULL,
  reason        text NOT NULL,
  first_seen_at timestamptz NOT NULL,
  last_seen_at  timestamptz NOT NULL
);
