/** Rows for tests of rights: an issuer, and one user with a key and a signed leaf. Several statements. */
export const ONE_USER = `
  INSERT INTO issuers (issuer_id, certificate_der, key_version, crl_url, issuer_url, state, recorded_at)
  VALUES ('issuing-1', 'issuing', 'projects/p/secrets/s/versions/1', 'http://p/c', 'http://p/i', 'active', now());
  INSERT INTO users (user_id, primary_email, state, reason, since) VALUES ('1', 'ada@acme.example', 'ready', 'r', now());
  INSERT INTO user_keys (key_id, user_id, spki_sha256_hex, spki_der, modulus_bits, key_service_url, wrapped_key, proof,
                         created_at, purpose)
  VALUES ('key-1', '1', repeat('a', 64), 'spki', 2048, 'https://k/v1', 'd3JhcHBlZA==', 'proven', now(), 'dual-use');
  INSERT INTO leaves (serial_hex, issuer_id, user_id, key_id, profile, addresses, not_before, not_after, tbs_der, state,
                      intended_at)
  VALUES ('0a01', 'issuing-1', '1', 'key-1', 'p', '{ada@acme.example}', now(), now() + interval '1 year', 'tbs', 'intended', now());
  UPDATE leaves SET state = 'signed', leaf_der = 'leaf', signed_at = now();`;
