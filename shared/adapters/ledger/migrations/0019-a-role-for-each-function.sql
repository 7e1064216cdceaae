-- A role in the database for each deployed function, with the rights that its statements need and no others. The same in
-- one table: shared/adapters/ledger/rights.ts, which tests hold against what the database says; docs/security.md shows it.
-- A later migration that makes a table grants here too, in blocks like those below.
--
-- No login is made: a function's is a member of its role and of nothing else (terraform/database.tf, docs/deploy.md).
-- Whoever migrates without the right to make roles goes without; once an administrator has made the nine roles, this
-- file may be run again by hand.

DO $$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['sealwright_directory_watch', 'sealwright_directory_event', 'sealwright_due',
    'sealwright_sweep', 'sealwright_sign', 'sealwright_publish_crl', 'sealwright_admin', 'sealwright_key_service',
    'sealwright_ocsp']
  LOOP
    BEGIN
      IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role_name) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
      END IF;
    EXCEPTION
      WHEN insufficient_privilege THEN
        RAISE NOTICE 'No right to make the role %: have it made and run this migration''s file again.', role_name;
      WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    -- The schema public is open to everybody's look-ups; another one is not.
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role_name) THEN
      IF NOT has_schema_privilege(role_name, current_schema(), 'USAGE') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role_name);
      END IF;
    END IF;
  END LOOP;
END
$$;

-- What triggers look up and write is the ledger's own doing: they act as its owner. So nobody who may add an audit entry
-- may write its chain, and nobody who may revoke may unblock a key or say that a CRL lists it.
DO $$
DECLARE
  trigger_function text;
BEGIN
  FOREACH trigger_function IN ARRAY ARRAY['chain_audit_entry', 'block_compromised_key', 'refuse_blocked_key',
    'remember_unlisted_revocation', 'refuse_older_crl', 'refuse_older_ocsp_answer']
  LOOP
    -- Temporary tables last, so that nobody's own table stands in for one of the ledger's.
    EXECUTE format('ALTER FUNCTION %I() SECURITY DEFINER SET search_path = %I, pg_temp', trigger_function,
                   current_schema());
  END LOOP;
END
$$;

-- The highest entry below which none is still being written: a writer draws its number under a lock that this waits for.
-- A function, because whoever may not change a table may not lock it so.
CREATE OR REPLACE FUNCTION settled_audit_entry() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  LOCK TABLE audit IN SHARE MODE;
  RETURN coalesce((SELECT max(id) FROM audit), 0);
END
$$;
REVOKE ALL ON FUNCTION settled_audit_entry() FROM PUBLIC;
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION settled_audit_entry() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_directory_watch') THEN RETURN; END IF;
  GRANT SELECT ON migrations, sources
    TO sealwright_directory_watch;
  GRANT SELECT (channel_id, resource_id, token_sha256_hex, expires_at, retired_at), UPDATE (resource_id, heard_at)
    ON channels TO sealwright_directory_watch;
  GRANT SELECT (source, kind, name, count, last_at), INSERT, UPDATE (count, last_at) ON source_oddities TO
    sealwright_directory_watch;
  GRANT INSERT, UPDATE (entries, received_at, happened_at, missed_since) ON sources TO sealwright_directory_watch;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_directory_event') THEN RETURN; END IF;
  GRANT SELECT ON absences, addresses, audit, blocked_keys, crls, device_keys, followed_entries, held_departures,
    held_sets, imported_certificates, issuer_addresses, issuer_chains, issuers, jobs, key_move_jobs, key_moves, keypair_requests,
    keypairs, leases, leaves, migrations, newest_wrapped_keys, notices, ocsp_batches, ocsp_signers, pair_certificates, paces,
    policy_activations, retirements, revocations, source_oddities, sources, stops, sweeps, user_keys, users,
    wishes
    TO sealwright_directory_event;
  GRANT DELETE ON absences TO sealwright_directory_event;
  GRANT INSERT, UPDATE (last_seen, sighting) ON addresses TO sealwright_directory_event;
  GRANT INSERT (at, user_id, cause_source, cause_id, cause_event, cause_actor, step, reason, outcome, details,
    cause_at) ON audit TO sealwright_directory_event;
  GRANT INSERT, UPDATE (followed_at, followed), DELETE ON followed_entries TO sealwright_directory_event;
  GRANT INSERT (set_id, user_id, primary_email, unit, steps, held_at, state), UPDATE (primary_email, unit, steps,
    held_at, state, detail, closed_at) ON held_departures TO sealwright_directory_event;
  GRANT INSERT (scope, reason, opened_at) ON held_sets TO sealwright_directory_event;
  GRANT UPDATE (state, detail) ON imported_certificates TO sealwright_directory_event;
  GRANT UPDATE (state, wrapped_key, keypair_id, detail, closed_at) ON key_moves TO sealwright_directory_event;
  GRANT UPDATE (state, detail, closed_at) ON keypair_requests TO sealwright_directory_event;
  GRANT INSERT (serial_hex, user_id, state, keypair_id, intended_at, created_at), UPDATE (state, keypair_id,
    created_at, disabled_at, disabled_because) ON keypairs TO sealwright_directory_event;
  GRANT INSERT (subject, holder, fence, expires_at), UPDATE (holder, fence, expires_at, look_again) ON leases TO
    sealwright_directory_event;
  GRANT INSERT (serial_hex, issuer_id, user_id, key_id, profile, addresses, not_before, not_after, tbs_der, state,
    intended_at, device_key_id) ON leaves TO sealwright_directory_event;
  GRANT INSERT (user_id, notice_key, kind, message, since), UPDATE (message, since, resolved_at) ON notices TO
    sealwright_directory_event;
  GRANT INSERT (issuer_id, signer_serial_hex, answers, intended_at) ON ocsp_batches TO sealwright_directory_event;
  GRANT INSERT ON ocsp_intents TO sealwright_directory_event;
  GRANT INSERT, UPDATE (next_at, wait_ms) ON paces TO sealwright_directory_event;
  GRANT INSERT (digest, policy_text, pins, activated_by, automatic, activated_at) ON policy_activations TO
    sealwright_directory_event;
  GRANT INSERT (serial_hex, reason, due_at, decided_at) ON retirements TO sealwright_directory_event;
  GRANT INSERT ON revocations TO sealwright_directory_event;
  GRANT INSERT (key_id, wrapped_key, rewrapped_at) ON rewrapped_keys TO sealwright_directory_event;
  GRANT USAGE ON SEQUENCE sightings TO sealwright_directory_event;
  GRANT INSERT, UPDATE (count, last_at) ON source_oddities TO sealwright_directory_event;
  GRANT INSERT, UPDATE (entries, received_at, happened_at, missed_since) ON sources TO sealwright_directory_event;
  GRANT INSERT (scope, state, cause_id, cause_event, requested_at) ON sweeps TO sealwright_directory_event;
  GRANT INSERT (key_id, user_id, spki_sha256_hex, spki_der, modulus_bits, key_service_url, wrapped_key, proof,
    wish_id, created_at, purpose, card_description) ON user_keys TO sealwright_directory_event;
  GRANT INSERT (user_id, primary_email, state, reason, since, left_scope_at, suspended_at, rule_name, next_action,
    next_action_at, unit, sighted_at, address_digest), UPDATE (primary_email, state, reason, since, left_scope_at,
    suspended_at, rule_name, failures, next_action, next_action_at, unit, sighted_at, address_digest) ON users TO
    sealwright_directory_event;
  GRANT UPDATE (state, detail, closed_at) ON wishes TO sealwright_directory_event;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_due') THEN RETURN; END IF;
  GRANT SELECT ON channels, crls, followed_entries, issuer_chains, issuers, leases, leaves, migrations,
    newest_wrapped_keys, ocsp_answers, ocsp_signers, paces, policy_activations, reports_reading, revocations, source_oddities, sources, sweeps,
    unlisted_revocations, unreadable_keys, users
    TO sealwright_due;
  GRANT INSERT (at, user_id, cause_source, cause_id, cause_event, cause_actor, step, reason, outcome, details,
    cause_at) ON audit TO sealwright_due;
  GRANT INSERT (channel_id, resource_id, token_sha256_hex, event, expires_at), UPDATE (resource_id,
    token_sha256_hex, event, expires_at, retired_at, heard_at), DELETE ON channels TO sealwright_due;
  GRANT INSERT (entry_key, followed_at), UPDATE (followed_at, followed), DELETE ON followed_entries TO
    sealwright_due;
  GRANT INSERT (subject, holder, fence, expires_at), UPDATE (holder, fence, expires_at, look_again) ON leases TO
    sealwright_due;
  GRANT INSERT, UPDATE (next_at, wait_ms) ON paces TO sealwright_due;
  GRANT INSERT (through, read_at, gaps, failures, why, since, tried_at, deep_at, window_from, window_to, is_deep,
    application, page_token, found), UPDATE (through, read_at, gaps, failures, why, since, tried_at, deep_at,
    window_from, window_to, is_deep, application, page_token, found) ON reports_reading TO sealwright_due;
  GRANT SELECT (key_id, position, kek_id, rewrapped_at), INSERT (key_id, wrapped_key, rewrapped_at) ON
    rewrapped_keys TO sealwright_due;
  GRANT INSERT, UPDATE (count, last_at) ON source_oddities TO sealwright_due;
  GRANT INSERT, UPDATE (entries, received_at, happened_at, missed_since) ON sources TO sealwright_due;
  GRANT INSERT (scope, state, cause_id, cause_event, requested_at) ON sweeps TO sealwright_due;
  GRANT INSERT, UPDATE (kek_id, reason, last_seen_at), DELETE ON unreadable_keys TO sealwright_due;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_sweep') THEN RETURN; END IF;
  GRANT SELECT ON absences, held_sets, leases, migrations, paces, policy_activations, rollout_switch,
    rollout_users, rollouts, sweep_seen, sweeps, users
    TO sealwright_sweep;
  GRANT INSERT, UPDATE (last_missed_at, last_sweep), DELETE ON absences TO sealwright_sweep;
  GRANT INSERT (at, user_id, cause_source, cause_id, cause_event, cause_actor, step, reason, outcome, details,
    cause_at) ON audit TO sealwright_sweep;
  GRANT INSERT (scope, reason, opened_at) ON held_sets TO sealwright_sweep;
  GRANT INSERT (subject, holder, fence, expires_at), UPDATE (holder, fence, expires_at, look_again) ON leases TO
    sealwright_sweep;
  GRANT INSERT, UPDATE (next_at, wait_ms) ON paces TO sealwright_sweep;
  GRANT INSERT (digest, policy_text, pins, activated_by, automatic, activated_at) ON policy_activations TO
    sealwright_sweep;
  GRANT INSERT (user_id, rollout_id, kind, sweep_id, waiting_since), UPDATE (rollout_id, kind, sweep_id,
    waiting_since, hinted_at, hints), DELETE ON rollout_users TO sealwright_sweep;
  GRANT INSERT (begun_at), UPDATE (ended_at) ON rollouts TO sealwright_sweep;
  GRANT INSERT (sweep_id, packed), DELETE ON sweep_seen TO sealwright_sweep;
  GRANT INSERT (scope, state, cause_id, cause_event, requested_at), UPDATE (state, started_at, ended_at, pass_at,
    passes, phase, page_token, pages, living, deleted, differing, sampled, missing, failures, why) ON sweeps TO
    sealwright_sweep;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_sign') THEN RETURN; END IF;
  GRANT SELECT ON audit_chains, audit_checkpoints, audit_signers, blocked_keys, crls, device_keys,
    issuer_addresses, issuer_chains, issuers, last_entries, leaves, migrations, ocsp_answers, ocsp_batches,
    ocsp_intents, ocsp_signers, revocations
    TO sealwright_sign;
  GRANT SELECT (id, user_id, place, sha256_hex) ON audit TO sealwright_sign;
  GRANT UPDATE (signed_der, signed_at) ON audit_checkpoints TO sealwright_sign;
  GRANT UPDATE (state, certificate_der, signed_at) ON audit_signers TO sealwright_sign;
  GRANT UPDATE (state, crl_der, signed_at) ON crls TO sealwright_sign;
  GRANT UPDATE (state, leaf_der, signed_at) ON leaves TO sealwright_sign;
  GRANT INSERT, UPDATE (status, this_update, next_update, not_after, answer_der, batch_id) ON ocsp_answers TO
    sealwright_sign;
  GRANT UPDATE (signed_at) ON ocsp_batches TO sealwright_sign;
  GRANT DELETE ON ocsp_intents TO sealwright_sign;
  GRANT UPDATE (state, certificate_der, signed_at) ON ocsp_signers TO sealwright_sign;
  GRANT SELECT (key_id, spki_sha256_hex, spki_der) ON user_keys TO sealwright_sign;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_publish_crl') THEN RETURN; END IF;
  GRANT SELECT ON audit_chains, audit_checkpoints, audit_signers, blocked_keys, crls, device_keys,
    issuer_addresses, issuer_chains, issuer_requests, issuers, last_entries, leases, leaves, migrations,
    ocsp_answers, ocsp_batches, ocsp_signers, revocations, unlisted_revocations
    TO sealwright_publish_crl;
  GRANT SELECT (id, at, user_id, place, sha256_hex), INSERT (at, user_id, cause_source, cause_id, cause_event,
    cause_actor, step, reason, outcome, details, cause_at) ON audit TO sealwright_publish_crl;
  GRANT INSERT (number, last_entry_id, statement, signer_serial_hex, intended_at) ON audit_checkpoints TO
    sealwright_publish_crl;
  GRANT INSERT (serial_hex, issuer_id, spki_der, key_secret_version, profile, not_before, not_after, tbs_der,
    state, intended_at) ON audit_signers TO sealwright_publish_crl;
  GRANT INSERT (issuer_id, crl_number, this_update, next_update, tbs_der, state, intended_at), UPDATE (state,
    published_at) ON crls TO sealwright_publish_crl;
  GRANT INSERT, UPDATE (verified_at, seen_at, sha256_hex, found, failed_at, failure) ON issuer_addresses TO
    sealwright_publish_crl;
  GRANT UPDATE (state) ON issuers TO sealwright_publish_crl;
  GRANT INSERT ON last_entries TO sealwright_publish_crl;
  GRANT INSERT (subject, holder, fence, expires_at), UPDATE (holder, fence, expires_at, look_again) ON leases TO
    sealwright_publish_crl;
  GRANT INSERT (issuer_id, signer_serial_hex, answers, intended_at) ON ocsp_batches TO sealwright_publish_crl;
  GRANT INSERT ON ocsp_intents TO sealwright_publish_crl;
  GRANT INSERT (serial_hex, issuer_id, spki_der, key_secret_version, profile, not_before, not_after, tbs_der,
    state, intended_at) ON ocsp_signers TO sealwright_publish_crl;
  GRANT DELETE ON unlisted_revocations TO sealwright_publish_crl;
  GRANT SELECT (key_id, spki_sha256_hex, spki_der) ON user_keys TO sealwright_publish_crl;
  GRANT EXECUTE ON FUNCTION settled_audit_entry() TO sealwright_publish_crl;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_admin') THEN RETURN; END IF;
  GRANT SELECT ON absences, addresses, audit, audit_checkpoints, blocked_keys, crls, device_keys,
    held_departures, held_sets, imported_certificates, issuer_chains, issuers, jobs, key_move_jobs, key_moves, keypair_requests,
    keypairs, leases, leaves, migrations, newest_wrapped_keys, notices, pair_certificates, paces,
    policy_activations, reports_reading, retirements, revocations, rollout_switch, rollout_users, rollouts, source_oddities, sources,
    stops, sweeps, unreadable_keys, user_keys, users, wishes
    TO sealwright_admin;
  GRANT INSERT (at, user_id, cause_source, cause_id, cause_event, cause_actor, step, reason, outcome, details,
    cause_at) ON audit TO sealwright_admin;
  GRANT SELECT (channel_id, resource_id, event, expires_at, retired_at) ON channels TO sealwright_admin;
  GRANT INSERT (key_id, user_id, device, spki_sha256_hex, spki_der, requested_by, created_at), UPDATE
    (withdrawn_at) ON device_keys TO sealwright_admin;
  GRANT UPDATE (state) ON held_departures TO sealwright_admin;
  GRANT UPDATE (state, digest, decided_by, decided_at, job_id) ON held_sets TO sealwright_admin;
  GRANT INSERT (import_id, user_id, key_id, certificate_sha256_hex, chain, addresses, not_before, not_after, state,
    requested_by, requested_at), UPDATE (key_id, chain, state, detail, requested_by, requested_at)
    ON imported_certificates TO sealwright_admin;
  -- Imported certificates are numbered with the leaves.
  GRANT USAGE ON SEQUENCE leaves_position_seq TO sealwright_admin;
  GRANT INSERT ON jobs TO sealwright_admin;
  GRANT INSERT ON key_move_jobs TO sealwright_admin;
  GRANT INSERT (job_id, serial_hex, user_id) ON key_moves TO sealwright_admin;
  GRANT INSERT (request_id, kind, user_id, primary_email, serial_hex, keypair_id, reason, requested_by,
    requested_at, statement, state), UPDATE (confirmed_by, confirmed_at, state, detail, closed_at) ON
    keypair_requests TO sealwright_admin;
  GRANT INSERT (subject, holder, fence, expires_at), UPDATE (holder, fence, expires_at, look_again) ON leases TO
    sealwright_admin;
  GRANT INSERT, UPDATE (next_at, wait_ms) ON paces TO sealwright_admin;
  GRANT INSERT (digest, policy_text, pins, activated_by, automatic, activated_at) ON policy_activations TO
    sealwright_admin;
  GRANT INSERT (serial_hex, reason, due_at, decided_at) ON retirements TO sealwright_admin;
  GRANT INSERT (paused, changed_by, changed_at), UPDATE (paused, changed_by, changed_at) ON rollout_switch TO
    sealwright_admin;
  GRANT INSERT (reason, stopped_by, stopped_at), UPDATE (resumed_by, resumed_at) ON stops TO sealwright_admin;
  GRANT INSERT (scope, state, cause_id, cause_event, requested_at) ON sweeps TO sealwright_admin;
  GRANT INSERT (key_id, user_id, spki_sha256_hex, spki_der, modulus_bits, key_service_url, wrapped_key, proof,
    created_at, purpose, imported), UPDATE (proof) ON user_keys TO sealwright_admin;
  GRANT INSERT (user_id, primary_email, state, reason, since, next_action, next_action_at), UPDATE (failures,
    next_action, next_action_at) ON users TO sealwright_admin;
  GRANT INSERT (wish_id, job_id, place, user_id, primary_email) ON wishes TO sealwright_admin;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_key_service') THEN RETURN; END IF;
  GRANT SELECT ON migrations
    TO sealwright_key_service;
  GRANT SELECT (address, user_id, last_seen, sighting) ON addresses TO sealwright_key_service;
  GRANT SELECT (key_id, wrapped_key) ON newest_wrapped_keys TO sealwright_key_service;
  GRANT SELECT (key_id, wrapped_key) ON rewrapped_keys TO sealwright_key_service;
  GRANT SELECT (key_id, spki_sha256_hex, wrapped_key) ON user_keys TO sealwright_key_service;
END
$$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealwright_ocsp') THEN RETURN; END IF;
  GRANT SELECT ON migrations, ocsp_answers
    TO sealwright_ocsp;
  GRANT SELECT (issuer_id, certificate_der, state) ON issuers TO sealwright_ocsp;
END
$$;
