-- Keys on smart cards: there is no wrapped form, no key service, and nothing to prove.

ALTER TABLE user_keys
  ALTER COLUMN key_service_url DROP NOT NULL,
  ALTER COLUMN wrapped_key DROP NOT NULL,
  -- What Gmail is told of the card; null for a wrapped key.
  ADD COLUMN card_description text CHECK (card_description <> ''),
  DROP CONSTRAINT user_keys_proof_check,
  ADD CONSTRAINT user_keys_proof_check CHECK (proof IN ('proven', 'unproven', 'not-applicable')),
  ADD CONSTRAINT user_keys_are_wrapped_or_on_a_card CHECK (
    CASE WHEN card_description IS NULL
      THEN wrapped_key IS NOT NULL AND key_service_url IS NOT NULL AND proof <> 'not-applicable'
      ELSE wrapped_key IS NULL AND key_service_url IS NULL AND proof = 'not-applicable' END);

-- One card's key is one user's, and is recorded once.
CREATE UNIQUE INDEX user_keys_on_cards ON user_keys (spki_sha256_hex) WHERE card_description IS NOT NULL;

DROP TRIGGER user_keys_change_proof_only ON user_keys;
CREATE TRIGGER user_keys_change_proof_only BEFORE UPDATE ON user_keys FOR EACH ROW
  WHEN ((OLD.key_id, OLD.position, OLD.user_id, OLD.spki_sha256_hex, OLD.spki_der, OLD.modulus_bits,
         OLD.key_service_url, OLD.wrapped_key, OLD.wish_id, OLD.created_at, OLD.purpose, OLD.card_description)
    IS DISTINCT FROM (NEW.key_id, NEW.position, NEW.user_id, NEW.spki_sha256_hex, NEW.spki_der, NEW.modulus_bits,
         NEW.key_service_url, NEW.wrapped_key, NEW.wish_id, NEW.created_at, NEW.purpose, NEW.card_description))
  EXECUTE FUNCTION refuse_change('of a recorded key only the proof may change');

CREATE OR REPLACE VIEW newest_wrapped_keys AS
  SELECT k.key_id, k.user_id, k.key_service_url, coalesce(r.wrapped_key, k.wrapped_key) AS wrapped_key,
         coalesce(r.kek_id, k.kek_id) AS kek_id, r.key_id IS NOT NULL AS rewrapped
    FROM user_keys k
    LEFT JOIN LATERAL (SELECT * FROM rewrapped_keys WHERE rewrapped_keys.key_id = k.key_id
                        ORDER BY position DESC LIMIT 1) r ON true
   WHERE k.card_description IS NULL;
