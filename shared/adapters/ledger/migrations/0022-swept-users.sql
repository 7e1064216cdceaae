-- What a sweep compares of a user, in the form in which it reads everybody: kept by the database itself whenever one of
-- the columns changes, because putting it together while a million rows are read takes five times as long.
--
-- Two big-endian words, then the id and the name of the rule in UTF-8, of which longer ones are cut off at 255 bytes:
--   first word, bits 16 to 23: length of the id in bytes; 0 for one of twenty-one digits, as Google's are, which is then
--   kept in eleven bytes, a zero and a digit in each half byte; bits 8 to 15: length of the rule's name; bits 0 to 2: the
--   state, from 1 in the order below; bit 3: left the scope; bit 4: suspended; bit 5: there is a digest of the addresses
--   second word: that digest

ALTER TABLE users ADD COLUMN swept bytea GENERATED ALWAYS AS (
  int4send(
    (CASE WHEN user_id ~ '^[1-9][0-9]{20}$' THEN 0 ELSE least(octet_length(user_id), 255) END << 16)
    | (least(coalesce(octet_length(rule_name), 0), 255) << 8)
    | CASE state WHEN 'ready' THEN 1 WHEN 'pending' THEN 2 WHEN 'blocked' THEN 3 WHEN 'leaving' THEN 4
                 WHEN 'out' THEN 5 END
    | CASE WHEN left_scope_at IS NULL THEN 0 ELSE 8 END
    | CASE WHEN suspended_at IS NULL THEN 0 ELSE 16 END
    | CASE WHEN address_digest IS NULL THEN 0 ELSE 32 END)
  || int4send(coalesce(address_digest, 0))
  || CASE WHEN user_id ~ '^[1-9][0-9]{20}$' THEN decode('0' || user_id, 'hex')
          -- A cast reads backslashes as escapes, so they are doubled.
          ELSE substr(replace(user_id, '\', '\\')::bytea, 1, 255) END
  || substr(replace(coalesce(rule_name, ''), '\', '\\')::bytea, 1, 255)
) STORED NOT NULL;

-- Ids that were seen are packed in another way from now on.
UPDATE sweeps SET state = 'not-whole', ended_at = now(), page_token = NULL,
       why = 'It was under way when the ledger was changed; the next one begins within half an hour.'
 WHERE state = 'running';

DELETE FROM sweep_seen;

COMMENT ON COLUMN sweep_seen.packed IS 'Of each user three little-endian words: shared/domain/packed-id.ts.';
