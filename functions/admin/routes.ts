/**
 * Every call of the admin API, in one table: method, path, who may, what it does. Adding a call is adding a row;
 * docs/admin-api.md shows this table and a test compares them.
 *
 * In a path, a segment in capitals stands for any one value, which the handler gets as `id`. Where a path fits two rows,
 * the one that spells it out counts.
 */
import type { ProveDeps } from '../../shared/reconcile/prove-keys.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { type AdminAuditDeps, readAudit, readChains, readCheckpoints } from './audit.ts';
import { type CertificateDeps, readCertificate } from './certificates.ts';
import { type DeadLetterDeps, readDeadLetter, readDeadLetters, settleDeadLetters } from './dead-letters.ts';
import { type DeviceDeps, readDevice, requestDevice, revokeDevice } from './devices.ts';
import {
  cancelErasure,
  confirmErasure,
  type ErasureDeps,
  readErasure,
  readErasures,
  requestErasure,
} from './erasures.ts';
import { type ExplainDeps, explainUser } from './explain.ts';
import { decideOnHeld, type HeldDeps, readHeldSet, readHeldSets } from './held.ts';
import {
  type ImportedKeyDeps,
  readImportedKey,
  readImportedKeys,
  requestKeyImport,
} from './imported-keys.ts';
import { type KeyMoveDeps, readEpochs, requestKeyMove } from './key-moves.ts';
import {
  cancelKeypairRequest,
  confirmKeypairRequest,
  type KeypairRequestDeps,
  readKeypairRequest,
  readKeypairRequests,
  requestKeypairChange,
} from './keypair-requests.ts';
import {
  type AdminKeysDeps,
  type ProveKeysDeps,
  proveWrappedKeys,
  readAddresses,
  readWrappedKeys,
} from './keys.ts';
import { type LintDeps, lintLive } from './lint.ts';
import { activatePolicy, checkPolicy, forecastPolicy, type PolicyDeps, testPolicy } from './policy.ts';
import { type AdminReadDeps, readJob, readUser, readUsers } from './read.ts';
import { type RekeyDeps, requestRekey } from './rekey.ts';
import { readStop, resumeEverything, type StopDeps, stopEverything } from './stop.ts';
import { readRollout, readStatus, type SweepAdminDeps, startSweep, switchRollout } from './sweeps.ts';

/** What the handlers need, all together. */
export interface AdminRouteDeps
  extends Omit<PolicyDeps, 'ledger'>,
    Omit<RekeyDeps, 'ledger' | 'bus' | 'directory'>,
    Omit<DeviceDeps, 'ledger' | 'bus'>,
    Omit<HeldDeps, 'ledger' | 'bus'>,
    Omit<StopDeps, 'ledger'>,
    Omit<KeypairRequestDeps, 'ledger' | 'bus'>,
    Omit<ErasureDeps, 'ledger' | 'bus' | 'directory'>,
    ProveKeysDeps,
    Omit<ImportedKeyDeps, 'ledger' | 'bus'>,
    Omit<SweepAdminDeps, 'ledger' | 'deadLetters' | 'directory'>,
    Omit<DeadLetterDeps, 'ledger'> {
  readonly ledger: RekeyDeps['ledger'] &
    AdminReadDeps['ledger'] &
    PolicyDeps['ledger'] &
    AdminAuditDeps['ledger'] &
    ExplainDeps['ledger'] &
    DeviceDeps['ledger'] &
    CertificateDeps['ledger'] &
    LintDeps['ledger'] &
    AdminKeysDeps['ledger'] &
    KeyMoveDeps['ledger'] &
    ImportedKeyDeps['ledger'] &
    ProveDeps['ledger'] &
    HeldDeps['ledger'] &
    StopDeps['ledger'] &
    KeypairRequestDeps['ledger'] &
    ErasureDeps['ledger'] &
    SweepAdminDeps['ledger'] &
    DeadLetterDeps['ledger'];
  readonly bus: RekeyDeps['bus'] &
    ImportedKeyDeps['bus'] &
    DeviceDeps['bus'] &
    HeldDeps['bus'] &
    KeypairRequestDeps['bus'] &
    ErasureDeps['bus'];
}

/** A call whose admin is known and whose path was found. */
export interface AdminCall {
  /** Address of the admin, lower case. */
  readonly admin: string;
  /** What stands where the row's path has capitals, decoded; empty for a path without. */
  readonly id: string;
  readonly query: URLSearchParams;
  /** The body as a JSON object. Throws `malformed-request`; asked only by calls that take one. */
  body(): Readonly<Record<string, unknown>>;
}

/** `an admin`: whoever is in `SEALWRIGHT_ADMINS`. `another admin`: one of them, who did not make the request. */
export type Caller = 'an admin' | 'another admin';

type Handler = (deps: AdminRouteDeps, call: AdminCall) => Promise<HttpAnswer>;

export interface AdminRoute {
  readonly method: 'GET' | 'POST';
  readonly path: `/v1/${string}`;
  readonly who: Caller;
  readonly does: string;
  /** What its query may say, each once. */
  readonly takes: readonly string[];
  readonly handle: Handler;
}

const get = (
  path: AdminRoute['path'],
  does: string,
  handle: Handler,
  takes: readonly string[] = [],
): AdminRoute => ({
  method: 'GET',
  path,
  who: 'an admin',
  does,
  takes,
  handle,
});
const post = (
  path: AdminRoute['path'],
  does: string,
  handle: Handler,
  who: Caller = 'an admin',
): AdminRoute => ({
  method: 'POST',
  path,
  who,
  does,
  takes: [],
  handle,
});

const PEOPLE: readonly AdminRoute[] = [
  get(
    '/v1/users',
    "every user's state, reason and next action; `?after=…&limit=…`",
    (deps, { query }) => readUsers(deps, query),
    ['after', 'limit'],
  ),
  get('/v1/users/USER', 'one user: certificates, key pairs, wishes', (deps, { id }) => readUser(deps, id)),
  get('/v1/users/USER/explain', 'what happened to them, why, and what comes next', (deps, { id }) =>
    explainUser(deps, id),
  ),
  post(
    '/v1/rekey',
    'asks for new keys for users, an org unit, a group, an issuer’s users or everybody',
    (deps, { admin, body }) => requestRekey(deps, admin, body()),
  ),
  get('/v1/jobs/JOB', 'how far that, or another job, is', (deps, { id }) => readJob(deps, id)),
  post('/v1/devices', 'asks for a certificate over a key in another mail client', (deps, { admin, body }) =>
    requestDevice(deps, admin, body()),
  ),
  get('/v1/devices/ID', 'what became of that', (deps, { id }) => readDevice(deps, id)),
  post('/v1/devices/ID/revoke', 'takes it back, and has its certificate revoked', (deps, call) =>
    revokeDevice(deps, call.admin, call.id, call.body()),
  ),
];

const CERTIFICATES_AND_KEYS: readonly AdminRoute[] = [
  get('/v1/certificates/SERIAL', 'one certificate with its chain, for exports', (deps, { id }) =>
    readCertificate(deps, id),
  ),
  get(
    '/v1/lint',
    'the linter over every certificate that has not expired',
    (deps, { query }) => lintLive(deps, query),
    ['after', 'limit'],
  ),
  get('/v1/keys', 'wrapped keys by key-encryption key, counted', (deps) => readWrappedKeys(deps)),
  post('/v1/keys/prove', 'has a key service decrypt samples with keys nobody saw open', (deps, call) =>
    proveWrappedKeys(deps, call.admin, call.body()),
  ),
  get(
    '/v1/epochs',
    'whose mail needs which key service; `?service=URL&after=…`',
    (deps, { query }) => readEpochs(deps, query),
    ['service', 'after'],
  ),
  post(
    '/v1/key-moves',
    'has old key pairs wrapped again and uploaded for another key service',
    (deps, call) => requestKeyMove(deps, call.admin, call.body()),
  ),
  get(
    '/v1/imported-keys',
    'of whom: `?user=…`; what was imported, and whose mail opens',
    (deps, { query }) => readImportedKeys(deps, query),
    ['user'],
  ),
  post('/v1/imported-keys', 'takes a key of old mail, wrapped already', (deps, call) =>
    requestKeyImport(deps, call.admin, call.body()),
  ),
  get('/v1/imported-keys/ID', 'what became of that', (deps, { id }) => readImportedKey(deps, id)),
  get(
    '/v1/addresses',
    'everybody with every address they have or had; `?after=…`',
    (deps, { query }) => readAddresses(deps, query),
    ['after'],
  ),
];

const GUARD: readonly AdminRoute[] = [
  get(
    '/v1/held',
    'what the guard holds; `?state=any`: and what was decided',
    (deps, { query }) => readHeldSets(deps, query),
    ['state'],
  ),
  get('/v1/held/DIGEST', 'one held set with everybody in it', (deps, { id }) => readHeldSet(deps, id)),
  post('/v1/held/DIGEST/approve', 'lets exactly these departures go', (deps, { admin, id }) =>
    decideOnHeld(deps, admin, id, 'approved'),
  ),
  post('/v1/held/DIGEST/dismiss', 'decides that exactly these do not depart', (deps, { admin, id }) =>
    decideOnHeld(deps, admin, id, 'dismissed'),
  ),
  get('/v1/stop', 'whether everything is stopped, by whom and why', (deps) => readStop(deps)),
  post('/v1/stop', 'stops everything', (deps, { admin, body }) => stopEverything(deps, admin, body())),
  post('/v1/resume', 'goes on', (deps, { admin }) => resumeEverything(deps, admin)),
  get(
    '/v1/keypair-requests',
    'requests about single key pairs; `?state=any`',
    (deps, { query }) => readKeypairRequests(deps, query),
    ['state'],
  ),
  post('/v1/keypair-requests', 'asks that one key pair be disabled or obliterated', (deps, { admin, body }) =>
    requestKeypairChange(deps, admin, body()),
  ),
  get('/v1/keypair-requests/ID', 'one request, and what it makes unreadable', (deps, { id }) =>
    readKeypairRequest(deps, id),
  ),
  post(
    '/v1/keypair-requests/ID/confirm',
    'confirms an obliteration by the digest of what was shown',
    (deps, call) => confirmKeypairRequest(deps, call.admin, call.id, call.body()),
    'another admin',
  ),
  post('/v1/keypair-requests/ID/cancel', 'takes back what was not carried out', (deps, { admin, id }) =>
    cancelKeypairRequest(deps, admin, id),
  ),
  get('/v1/erasures', 'wrapped keys of deleted users that are due for erasure, and erasures', (deps) =>
    readErasures(deps),
  ),
  post('/v1/erasures', 'asks that what is due be erased, by its digest', (deps, { admin, body }) =>
    requestErasure(deps, admin, body()),
  ),
  get('/v1/erasures/ID', 'one erasure, and what it makes unreadable', (deps, { id }) =>
    readErasure(deps, id),
  ),
  post(
    '/v1/erasures/ID/confirm',
    'confirms it by the digest of what was shown, and erases',
    (deps, call) => confirmErasure(deps, call.admin, call.id, call.body()),
    'another admin',
  ),
  post('/v1/erasures/ID/cancel', 'takes it back before it is confirmed', (deps, { admin, id }) =>
    cancelErasure(deps, admin, id),
  ),
];

const POLICY: readonly AdminRoute[] = [
  post('/v1/policy/check', 'what is wrong with a draft, the directory asked', (deps, { body }) =>
    checkPolicy(deps, body()),
  ),
  post('/v1/policy/what-if', 'what a draft would do to everybody', (deps, { body }) =>
    forecastPolicy(deps, body()),
  ),
  post('/v1/policy/test', 'which rule covers somebody, and why', (deps, { body }) =>
    testPolicy(deps, body()),
  ),
  post('/v1/policy/activate', 'puts a policy in force with the ids its names stand for now', (deps, call) =>
    activatePolicy(deps, call.admin, call.body()),
  ),
];

const OPERATION: readonly AdminRoute[] = [
  get('/v1/status', 'the sweep, the rollout, how fresh everything is, and the alarms', (deps) =>
    readStatus(deps),
  ),
  post('/v1/sweeps', 'asks for a sweep of everybody or of an org unit', (deps, { admin, body }) =>
    startSweep(deps, admin, body()),
  ),
  get('/v1/rollout', 'how far the rollout is', (deps) => readRollout(deps)),
  post('/v1/rollout', 'pauses it, or goes on', (deps, { admin, body }) => switchRollout(deps, admin, body())),
  get('/v1/dead-letters', 'messages that no function could handle', (deps) => readDeadLetters(deps)),
  get('/v1/dead-letters/ID', 'one of them, whole', (deps, { id }) => readDeadLetter(deps, id)),
  post('/v1/dead-letters/replay', 'has them delivered again', (deps, { admin, body }) =>
    settleDeadLetters(deps, admin, 'replay', body()),
  ),
  post('/v1/dead-letters/drop', 'drops them', (deps, { admin, body }) =>
    settleDeadLetters(deps, admin, 'drop', body()),
  ),
  get(
    '/v1/audit',
    'the audit trail, oldest first; `?user=…&after=…&limit=…&addresses=true`',
    (deps, { query }) => readAudit(deps, query),
    ['user', 'after', 'limit', 'addresses'],
  ),
  get(
    '/v1/audit/chains',
    'how far each chain goes, by the ledger’s own account',
    (deps, { query }) => readChains(deps, query),
    ['after', 'limit'],
  ),
  get('/v1/audit/checkpoints', 'its signed checkpoints', (deps, { query }) => readCheckpoints(deps, query), [
    'after',
    'limit',
  ]),
];

export const ADMIN_ROUTES: readonly AdminRoute[] = [
  ...PEOPLE,
  ...CERTIFICATES_AND_KEYS,
  ...GUARD,
  ...POLICY,
  ...OPERATION,
];

/** What a path names: its rows by method, and the value that stands for its capitals. */
export interface FoundPath {
  readonly id: string;
  readonly routes: readonly AdminRoute[];
}

/** Of decoded segments, the empty one before the first slash included; undefined for a path that no row has. */
export function findPath(segments: readonly string[]): FoundPath | undefined {
  const fitting = ADMIN_ROUTES.filter(({ path }) => fits(path.split('/'), segments));
  const spelled = fitting.filter(({ path }) => parameterAt(path.split('/')) < 0);
  const routes = spelled.length > 0 ? spelled : fitting;
  const [first] = routes;
  return first === undefined ? undefined : { id: segments[parameterAt(first.path.split('/'))] ?? '', routes };
}

const fits = (pattern: readonly string[], segments: readonly string[]): boolean =>
  pattern.length === segments.length &&
  pattern.every((part, at) => (isParameter(part) ? segments[at] !== '' : part === segments[at]));

const parameterAt = (pattern: readonly string[]): number => pattern.findIndex(isParameter);

const isParameter = (part: string): boolean => /^[A-Z]+$/.test(part);
