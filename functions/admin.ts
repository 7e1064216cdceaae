/**
 * Admin HTTP → a wish in the ledger, then a hint. Nothing here changes a mailbox or a certificate: it writes down who
 * wants what, and the one loop does it.
 *
 * | call                      | does                                                              |
 * |---------------------------|-------------------------------------------------------------------|
 * | `POST /v1/rekey`          | asks for new keys for users, an org unit or everybody             |
 * | `GET /v1/jobs/JOB`        | how far that is                                                   |
 * | `GET /v1/users`           | every user's state, reason and next action                        |
 * | `GET /v1/users/USER`      | one user: certificates, key pairs, wishes                         |
 * | `GET /v1/users/USER/explain` | what happened to them, why, and what comes next, in sentences  |
 * | `GET /v1/certificates/SERIAL` | one certificate with its chain, for exports                   |
 * | `POST /v1/devices`        | asks for a certificate over a key in another mail client          |
 * | `GET /v1/devices/ID`      | what became of that                                               |
 * | `POST /v1/devices/ID/revoke` | takes it back, and has its certificate revoked                 |
 * | `GET /v1/lint`            | the linter over every certificate that has not expired            |
 * | `GET /v1/keys`            | wrapped keys by key-encryption key, counted                       |
 * | `GET /v1/epochs`, `GET /v1/epochs?service=URL` | whose mail needs which key service; `&after=…` |
 * | `POST /v1/key-moves`      | has old key pairs wrapped again and uploaded for another key service |
 * | `POST /v1/keys/prove`     | has a key service decrypt samples with keys nobody saw open       |
 * | `GET /v1/addresses`       | everybody with every address they have or had; `?after=…`         |
 * | `GET /v1/held`, `GET /v1/held/DIGEST` | what the guard holds                                  |
 * | `POST /v1/held/DIGEST/approve`, `…/dismiss` | decides on exactly that                         |
 * | `GET /v1/stop`, `POST /v1/stop`, `POST /v1/resume` | the switch that stops everything         |
 * | `POST /v1/keypair-requests` | disabling or obliterating one key pair; `GET` shows them        |
 * | `POST /v1/keypair-requests/ID/confirm`, `…/cancel` | a second admin confirms an obliteration  |
 * | `POST /v1/policy/check`   | what is wrong with a draft, the directory asked                   |
 * | `POST /v1/policy/what-if` | what a draft would do to everybody                                |
 * | `POST /v1/policy/test`    | which rule covers somebody, and why                               |
 * | `POST /v1/policy/activate` | puts a policy in force with the ids its names stand for now      |
 * | `GET /v1/status`          | the sweep of the directory and the rollout                        |
 * | `POST /v1/sweeps`         | asks for a sweep of everybody or of an org unit                   |
 * | `GET /v1/rollout`, `POST /v1/rollout` | how far it is; pauses it and goes on                  |
 * | `GET /v1/dead-letters`, `GET /v1/dead-letters/ID` | messages that no function could handle        |
 * | `POST /v1/dead-letters/replay`, `…/drop` | has them delivered again, or drops them              |
 * | `GET /v1/audit`           | the audit trail, oldest first; `?user=…&after=…&limit=…`          |
 * | `GET /v1/audit/checkpoints` | its signed checkpoints                                          |
 */
import { invalidInput, permanent } from '../shared/errors.ts';
import type { IdTokenVerifier } from '../shared/ports/id-tokens.ts';
import type { ProveDeps } from '../shared/reconcile/prove-keys.ts';
import { type AdminAuditDeps, readAudit, readCheckpoints } from './admin/audit.ts';
import { type CertificateDeps, readCertificate } from './admin/certificates.ts';
import { type DeadLetterDeps, routeDeadLetters } from './admin/dead-letters.ts';
import { type DeviceDeps, readDevice, requestDevice, revokeDevice } from './admin/devices.ts';
import { type ExplainDeps, explainUser } from './admin/explain.ts';
import { type KeyMoveDeps, readEpochs, requestKeyMove } from './admin/key-moves.ts';
import {
  type AdminKeysDeps,
  type ProveKeysDeps,
  proveWrappedKeys,
  readAddresses,
  readWrappedKeys,
} from './admin/keys.ts';
import { type LintDeps, lintLive } from './admin/lint.ts';
import { type PolicyDeps, policyCall } from './admin/policy.ts';
import { type AdminReadDeps, readJob, readUser, readUsers } from './admin/read.ts';
import { type RekeyDeps, requestRekey } from './admin/rekey.ts';
import { type GuardRouteDeps, routeGuard } from './admin/route-guard.ts';
import { routeSweeps, type SweepAdminDeps } from './admin/sweeps.ts';
import { bearerToken } from './wire/caller.ts';
import { type HttpAnswer, type HttpCall, type HttpHandler, parseJsonObject } from './wire/http.ts';

export interface AdminDeps
  extends Omit<PolicyDeps, 'ledger'>,
    Omit<RekeyDeps, 'ledger' | 'bus' | 'directory'>,
    Omit<DeviceDeps, 'ledger' | 'bus'>,
    Omit<GuardRouteDeps, 'ledger' | 'bus'>,
    ProveKeysDeps,
    Omit<SweepAdminDeps, 'ledger' | 'deadLetters'>,
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
    ProveDeps['ledger'] &
    GuardRouteDeps['ledger'] &
    SweepAdminDeps['ledger'] &
    DeadLetterDeps['ledger'];
  readonly bus: RekeyDeps['bus'] & DeviceDeps['bus'] & GuardRouteDeps['bus'];
  readonly idTokens: IdTokenVerifier;
  /** Audiences an admin's ID token may carry. */
  readonly audiences: readonly string[];
  /** Addresses of the admins, lower case. */
  readonly admins: readonly string[];
}

export function createAdmin(deps: AdminDeps): HttpHandler {
  return async (call) => {
    const admin = await authenticateAdmin(deps, call);
    const [, version, resource, id, action, ...beyond] = call.path.split('/').map(decoded);
    for (const value of call.query.values()) refuseNul(value);
    if (version !== 'v1') throw permanent('not-found', 'The admin API lives under /v1.');
    if (beyond.length > 0) throw unknownPath(call);
    const answer =
      (await routeGuard(deps, admin, call, [resource, id, action])) ??
      (await routeSweeps(deps, admin, call, [resource, id, action])) ??
      (await routeDeadLetters(deps, admin, call, [resource, id, action]));
    if (answer !== undefined) return answer;
    if (resource === 'users' && id !== undefined && action === 'explain') {
      allow(call, 'GET');
      return await explainUser(deps, id);
    }
    if (action !== undefined && resource !== 'devices') throw unknownPath(call);
    switch (resource) {
      case 'rekey':
        if (id !== undefined) throw unknownPath(call);
        allow(call, 'POST');
        return await requestRekey(deps, admin, parseJsonObject(call.body));
      case 'jobs':
        if (id === undefined) throw unknownPath(call);
        allow(call, 'GET');
        return await readJob(deps, id);
      case 'users':
        allow(call, 'GET');
        return id === undefined ? await readUsers(deps, call.query) : await readUser(deps, id);
      case 'devices':
        return await routeDevices(deps, admin, call, [id, action]);
      case 'certificates':
        if (id === undefined) throw unknownPath(call);
        allow(call, 'GET');
        return await readCertificate(deps, id);
      case 'lint':
        if (id !== undefined) throw unknownPath(call);
        allow(call, 'GET');
        return await lintLive(deps, call.query);
      case 'keys':
        if (id !== undefined && id !== 'prove') throw unknownPath(call);
        allow(call, id === undefined ? 'GET' : 'POST');
        return id === undefined
          ? await readWrappedKeys(deps)
          : await proveWrappedKeys(deps, admin, parseJsonObject(call.body));
      case 'epochs':
        if (id !== undefined) throw unknownPath(call);
        allow(call, 'GET');
        return await readEpochs(deps, call.query);
      case 'key-moves':
        if (id !== undefined) throw unknownPath(call);
        allow(call, 'POST');
        return await requestKeyMove(deps, admin, parseJsonObject(call.body));
      case 'addresses':
        if (id !== undefined) throw unknownPath(call);
        allow(call, 'GET');
        return await readAddresses(deps, call.query);
      case 'policy':
        if (id === undefined) throw unknownPath(call);
        allow(call, 'POST');
        return await policyCall(deps, admin, call, id);
      case 'audit':
        if (id !== undefined && id !== 'checkpoints') throw unknownPath(call);
        allow(call, 'GET');
        return id === undefined ? await readAudit(deps, call.query) : await readCheckpoints(deps, call.query);
      default:
        throw unknownPath(call);
    }
  };
}

async function routeDevices(
  deps: AdminDeps,
  admin: string,
  call: HttpCall,
  [id, action]: readonly [string | undefined, string | undefined],
): Promise<HttpAnswer> {
  if (id === undefined) {
    allow(call, 'POST');
    return await requestDevice(deps, admin, parseJsonObject(call.body));
  }
  if (action === undefined) {
    allow(call, 'GET');
    return await readDevice(deps, id);
  }
  if (action !== 'revoke') throw unknownPath(call);
  allow(call, 'POST');
  return await revokeDevice(deps, admin, id, parseJsonObject(call.body));
}

/**
 * The admin's own ID token, verified whole. In front of Cloud Run's IAM, Google's token travels in
 * `X-Serverless-Authorization`, so that this one arrives with its signature.
 */
async function authenticateAdmin(deps: AdminDeps, call: HttpCall): Promise<string> {
  const token = await deps.idTokens.verify(bearerToken(call.headers.authorization), deps.audiences);
  const email = token.email.toLowerCase();
  if (!deps.admins.includes(email) || !isAuthoritative(email, token.hostedDomain)) {
    deps.log.warning('admin-refused', { email, path: call.path });
    throw permanent('forbidden', `${email} is not one of the admins of this service.`);
  }
  return email;
}

/**
 * Google vouches for an address only where it runs the domain (`hd`) or the service account; a private account that
 * once confirmed the same address carries `email_verified` as well.
 * https://developers.google.com/identity/gsi/web/guides/verify-google-id-token
 */
function isAuthoritative(email: string, hostedDomain: string | undefined): boolean {
  return hostedDomain !== undefined || email.endsWith('.iam.gserviceaccount.com');
}

function allow(call: HttpCall, method: string): void {
  if (call.method !== method) throw permanent('method-not-allowed', `${call.path} takes ${method}.`);
}

const unknownPath = (call: HttpCall) => permanent('not-found', `The admin API has no ${call.path}.`);

function decoded(segment: string): string {
  let text: string;
  try {
    text = decodeURIComponent(segment);
  } catch (error) {
    throw invalidInput('malformed-request', 'The path holds a broken percent escape.', { cause: error });
  }
  refuseNul(text);
  return text;
}

/** The one character that PostgreSQL does not take. */
function refuseNul(text: string): void {
  if (text.includes('\0')) {
    throw invalidInput('malformed-request', 'The address holds a NUL character, which no name has.');
  }
}
