/**
 * Who may do what in the ledger: for each function, the tables it may touch and how. Everything else is refused, by the
 * database: nobody removes or changes a row of the audit trail, a revocation or an issuer's certificate, `sign` alone
 * writes what is signed, and no function whose callers come from the internet adds an intent.
 *
 * The rights are those that the statements of the ledger's methods need which the function calls. Reads are by whole
 * tables, except where a table holds wrapped keys or the function is public; what is added or changed is by column, so
 * that who intends a certificate cannot also write that it is signed. Migrations hold the GRANTs, and tests compare: a new
 * table needs a row here and a GRANT in its migration.
 */
import type { LedgerUser } from './ledger-users.ts';

/** `true`: the whole row. Else names of columns, with a space between: these only. */
type Columns = true | string;

export interface Rights {
  /** SELECT */
  readonly read?: Columns;
  /** INSERT */
  readonly add?: Columns;
  /** UPDATE */
  readonly change?: string;
  /** DELETE */
  readonly remove?: true;
  /** Of a sequence: draw numbers. */
  readonly use?: true;
}

/** By function, then by table (or view, or sequence). */
export const RIGHTS: Readonly<Record<LedgerUser, Readonly<Record<string, Rights>>>> = {
  'directory-watch': {
    channels: {
      read: 'channel_id resource_id token_sha256_hex expires_at retired_at',
      change: 'resource_id heard_at',
    },
    migrations: { read: true },
    source_oddities: { read: 'source kind name count last_at', add: true, change: 'count last_at' },
    sources: { read: true, add: true, change: 'entries received_at happened_at missed_since' },
  },
  'directory-event': {
    absences: { read: true, remove: true },
    addresses: { read: true, add: true, change: 'last_seen sighting' },
    audit: {
      read: true,
      add: 'at user_id cause_source cause_id cause_event cause_actor step reason outcome details cause_at',
    },
    blocked_keys: { read: true },
    crls: { read: true },
    device_keys: { read: true },
    followed_entries: { read: true, add: true, change: 'followed_at followed', remove: true },
    held_departures: {
      read: true,
      add: 'set_id user_id primary_email unit steps held_at state',
      change: 'primary_email unit steps held_at state detail closed_at',
    },
    held_sets: { read: true, add: 'scope reason opened_at', change: 'absorbed_by' },
    imported_certificates: { read: true, change: 'state detail' },
    issuer_addresses: { read: true },
    issuer_chains: { read: true },
    issuers: { read: true },
    jobs: { read: true },
    key_move_jobs: { read: true },
    key_moves: { read: true, change: 'state wrapped_key keypair_id detail closed_at' },
    keypair_requests: { read: true, change: 'state detail closed_at' },
    keypairs: {
      read: true,
      add: 'serial_hex user_id state keypair_id intended_at created_at',
      change: 'state keypair_id created_at disabled_at disabled_because',
    },
    leases: {
      read: true,
      add: 'subject holder fence expires_at',
      change: 'holder fence expires_at look_again asked answers',
    },
    leaves: {
      read: true,
      add: 'serial_hex issuer_id user_id key_id profile addresses not_before not_after tbs_der state intended_at device_key_id',
    },
    migrations: { read: true },
    newest_wrapped_keys: { read: true },
    notices: {
      read: true,
      add: 'user_id notice_key kind message since',
      change: 'message since resolved_at',
    },
    ocsp_batches: { read: true, add: 'issuer_id signer_serial_hex answers intended_at' },
    ocsp_intents: { add: true },
    ocsp_signers: { read: true },
    pair_certificates: { read: true },
    paces: { read: true, add: true, change: 'next_at wait_ms' },
    passed_over: { read: true, add: true, change: 'at source event', remove: true },
    policy_activations: { read: true, add: 'digest policy_text pins activated_by automatic activated_at' },
    put_off_hints: { read: true, add: 'about event_id hint', change: 'number hint' },
    retirements: { read: true, add: 'serial_hex reason due_at decided_at' },
    revocations: { read: true, add: true },
    rewrapped_keys: { add: 'key_id wrapped_key rewrapped_at' },
    sightings: { use: true },
    source_oddities: { read: true, add: true, change: 'count last_at' },
    sources: { read: true, add: true, change: 'entries received_at happened_at missed_since' },
    stops: { read: true },
    sweeps: { read: true, add: 'scope state cause_id cause_event requested_at' },
    user_keys: {
      read: true,
      add: 'key_id user_id spki_sha256_hex spki_der modulus_bits key_service_url wrapped_key proof wish_id created_at purpose card_description',
      change: 'wrapped_key erased_at obliteration_id',
    },
    users: {
      read: true,
      add: 'user_id primary_email state reason since left_scope_at suspended_at rule_name next_action next_action_at unit sighted_at address_digest rule_digest protected_by archived',
      change:
        'primary_email state reason since left_scope_at suspended_at rule_name failures next_action next_action_at unit sighted_at address_digest rule_digest protected_by deleted_at archived',
    },
    wishes: { read: true, change: 'state detail closed_at' },
  },
  due: {
    audit: {
      add: 'at user_id cause_source cause_id cause_event cause_actor step reason outcome details cause_at',
    },
    channels: {
      read: true,
      add: 'channel_id resource_id token_sha256_hex event expires_at',
      change: 'resource_id token_sha256_hex event expires_at retired_at heard_at',
      remove: true,
    },
    crl_listings: { read: true },
    crls: { read: true },
    due_hints: { read: true, add: true, change: 'due_at fence hinted_at', remove: true },
    followed_entries: {
      read: true,
      add: 'entry_key followed_at',
      change: 'followed_at followed',
      remove: true,
    },
    issuer_chains: { read: true },
    issuers: { read: true },
    leases: {
      read: true,
      add: 'subject holder fence expires_at',
      change: 'holder fence expires_at look_again asked answers',
    },
    leaves: { read: true },
    migrations: { read: true },
    newest_wrapped_keys: { read: true },
    ocsp_answers: { read: true },
    ocsp_signers: { read: true },
    paces: { read: true, add: true, change: 'next_at wait_ms' },
    policy_activations: { read: true },
    put_off_hints: { read: true, remove: true },
    reports_reading: {
      read: true,
      add: 'through read_at gaps failures why since tried_at deep_at window_from window_to is_deep application page_token found',
      change:
        'through read_at gaps failures why since tried_at deep_at window_from window_to is_deep application page_token found',
    },
    revocations: { read: true },
    rewrapped_keys: { read: 'key_id position kek_id rewrapped_at', add: 'key_id wrapped_key rewrapped_at' },
    source_oddities: { read: true, add: true, change: 'count last_at' },
    sources: { read: true, add: true, change: 'entries received_at happened_at missed_since' },
    sweeps: { read: true, add: 'scope state cause_id cause_event requested_at' },
    unreadable_keys: { read: true, add: true, change: 'kek_id reason last_seen_at', remove: true },
    users: { read: true },
  },
  sweep: {
    absences: { read: true, add: true, change: 'last_missed_at', remove: true },
    audit: {
      add: 'at user_id cause_source cause_id cause_event cause_actor step reason outcome details cause_at',
    },
    due_hints: { read: true },
    held_sets: { read: true, add: 'scope reason opened_at' },
    leases: {
      read: true,
      add: 'subject holder fence expires_at',
      change: 'holder fence expires_at look_again asked answers',
    },
    migrations: { read: true },
    paces: { read: true, add: true, change: 'next_at wait_ms' },
    policy_activations: { read: true, add: 'digest policy_text pins activated_by automatic activated_at' },
    policy_following: {
      read: true,
      add: 'followed followed_at',
      change: 'followed followed_at noticed noticed_at rules_judged',
    },
    rollout_switch: { read: true },
    rollout_users: {
      read: true,
      add: 'user_id rollout_id kind sweep_id waiting_since policy',
      change: 'rollout_id kind sweep_id waiting_since hinted_at hints policy',
      remove: true,
    },
    rollouts: { read: true, add: 'begun_at', change: 'ended_at' },
    sweep_members: { read: true, add: 'sweep_id group_id packed', remove: true },
    sweep_seen: { read: true, add: 'sweep_id packed', remove: true },
    sweeps: {
      read: true,
      add: 'scope state cause_id cause_event requested_at',
      change:
        'state started_at ended_at pass_at passes phase page_token pages living deleted differing sampled missing failures why covering groups',
    },
    swept_changes: { read: true, remove: true },
    swept_table: { read: true, add: true, remove: true },
    users: { read: true },
  },
  sign: {
    audit: { read: 'id user_id place sha256_hex' },
    audit_chains: { read: true },
    audit_checkpoints: { read: true, change: 'signed_der signed_at' },
    audit_signers: { read: true, change: 'state certificate_der signed_at' },
    blocked_keys: { read: true },
    crl_blocks: { read: true },
    crl_entries: { read: true },
    crls: { read: true, change: 'state signed_at end_der' },
    device_keys: { read: true },
    issuer_addresses: { read: true },
    issuer_chains: { read: true },
    issuers: { read: true },
    leaves: { read: true, change: 'state leaf_der signed_at' },
    migrations: { read: true },
    ocsp_answers: {
      read: true,
      add: true,
      change: 'status this_update next_update not_after answer_der batch_id',
    },
    ocsp_batches: { read: true, change: 'signed_at' },
    ocsp_intents: { read: true, remove: true },
    ocsp_signers: { read: true, change: 'state certificate_der signed_at' },
    revocations: { read: true },
    user_keys: { read: 'key_id spki_sha256_hex spki_der' },
  },
  'publish-crl': {
    audit: {
      read: 'id at user_id place sha256_hex',
      add: 'at user_id cause_source cause_id cause_event cause_actor step reason outcome details cause_at',
    },
    audit_chains: { read: true },
    audit_checkpoints: { read: true, add: 'number last_entry_id statement signer_serial_hex intended_at' },
    audit_signers: {
      read: true,
      add: 'serial_hex issuer_id spki_der key_secret_version profile not_before not_after tbs_der state intended_at',
    },
    blocked_keys: { read: true },
    crl_blocks: { read: true, add: true, remove: true },
    crl_entries: { read: true, remove: true },
    crl_listings: { read: true, change: 'crl_number' },
    crls: {
      read: true,
      add: 'issuer_id crl_number this_update next_update state intended_at tbs_head tbs_tail blocks',
      change: 'state published_at tbs_head tbs_tail blocks pruned_at listed_at',
    },
    device_keys: { read: true },
    issuer_addresses: {
      read: true,
      add: true,
      change: 'verified_at seen_at sha256_hex found failed_at failure',
    },
    issuer_chains: { read: true },
    issuer_requests: { read: true },
    issuers: { read: true, change: 'state' },
    last_entries: { read: true, add: true },
    leases: {
      read: true,
      add: 'subject holder fence expires_at',
      change: 'holder fence expires_at look_again asked answers',
    },
    leaves: { read: true },
    migrations: { read: true },
    ocsp_answers: { read: true, remove: true },
    ocsp_batches: { read: true, add: 'issuer_id signer_serial_hex answers intended_at' },
    ocsp_intents: { read: true, add: true, remove: true },
    ocsp_signers: {
      read: true,
      add: 'serial_hex issuer_id spki_der key_secret_version profile not_before not_after tbs_der state intended_at',
    },
    revocations: { read: true },
    user_keys: { read: 'key_id spki_sha256_hex spki_der' },
  },
  admin: {
    absences: { read: true },
    addresses: { read: true },
    audit: {
      read: true,
      add: 'at user_id cause_source cause_id cause_event cause_actor step reason outcome details cause_at',
    },
    audit_chains: { read: true },
    audit_checkpoints: { read: true },
    blocked_keys: { read: true },
    channels: { read: 'channel_id resource_id event expires_at retired_at' },
    crl_listings: { read: true },
    crls: { read: true },
    device_keys: {
      read: true,
      add: 'key_id user_id device spki_sha256_hex spki_der requested_by created_at',
      change: 'withdrawn_at',
    },
    erasures: {
      read: true,
      add: 'erasure_id digest shown key_ids no_legal_hold requested_by requested_at',
      change: 'confirmed_by confirmed_at state detail closed_at',
    },
    held_departures: { read: true, change: 'state' },
    held_sets: { read: true, change: 'state digest decided_by decided_at job_id' },
    imported_certificates: {
      read: true,
      add: 'import_id user_id key_id certificate_sha256_hex chain addresses not_before not_after state requested_by requested_at',
      change: 'key_id chain state detail requested_by requested_at',
    },
    issuer_chains: { read: true },
    issuers: { read: true },
    jobs: { read: true, add: true },
    key_move_jobs: { read: true, add: true },
    key_moves: { read: true, add: 'job_id serial_hex user_id' },
    keypair_requests: {
      read: true,
      add: 'request_id kind user_id primary_email serial_hex keypair_id reason requested_by requested_at statement state',
      change: 'confirmed_by confirmed_at state detail closed_at',
    },
    keypairs: { read: true },
    leases: {
      read: true,
      add: 'subject holder fence expires_at',
      change: 'holder fence expires_at look_again asked answers',
    },
    leaves: { read: true },
    leaves_position_seq: { use: true },
    migrations: { read: true },
    newest_wrapped_keys: { read: true },
    notices: { read: true },
    pair_certificates: { read: true },
    paces: { read: true, add: true, change: 'next_at wait_ms' },
    passed_over: { read: true },
    policy_activations: { read: true, add: 'digest policy_text pins activated_by automatic activated_at' },
    put_off_hints: { read: true },
    reports_reading: { read: true },
    retirements: { read: true, add: 'serial_hex reason due_at decided_at' },
    revocations: { read: true },
    rollout_switch: {
      read: true,
      add: 'paused changed_by changed_at',
      change: 'paused changed_by changed_at',
    },
    rollout_users: { read: true },
    rollouts: { read: true },
    source_oddities: { read: true },
    sources: { read: true },
    stops: { read: true, add: 'reason stopped_by stopped_at', change: 'resumed_by resumed_at' },
    sweeps: { read: true, add: 'scope state cause_id cause_event requested_at' },
    unreadable_keys: { read: true },
    user_keys: {
      read: true,
      add: 'key_id user_id spki_sha256_hex spki_der modulus_bits key_service_url wrapped_key proof created_at purpose imported',
      change: 'wrapped_key proof erasure_id erased_at',
    },
    users: {
      read: true,
      add: 'user_id primary_email state reason since next_action next_action_at',
      change: 'failures next_action next_action_at',
    },
    wishes: { read: true, add: 'wish_id job_id place user_id primary_email' },
  },
  'key-service': {
    addresses: { read: 'address user_id last_seen sighting' },
    migrations: { read: true },
    newest_wrapped_keys: { read: 'key_id wrapped_key' },
    rewrapped_keys: { read: 'key_id wrapped_key' },
    user_keys: { read: 'key_id spki_sha256_hex wrapped_key' },
  },
  ocsp: {
    issuers: { read: 'issuer_id certificate_der state' },
    migrations: { read: true },
    ocsp_answers: { read: true },
  },
};

/** Functions of the database that not everybody may call, and who may. */
export const ROUTINES: Readonly<Record<string, readonly LedgerUser[]>> = {
  settled_audit_entry: ['publish-crl'],
};
