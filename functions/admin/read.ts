import type { UserLedger } from '../../shared/domain/records.ts';
import { invalidInput, permanent } from '../../shared/errors.ts';
import type { ErasedKey } from '../../shared/ports/ledger/erasures.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { importView } from './imported-keys.ts';
import { pageSize } from './page-size.ts';
import { howToName } from './somebody.ts';

export interface AdminReadDeps {
  readonly ledger: Pick<Ledger, 'readJob' | 'users' | 'readUser' | 'userIdOfAddress' | 'erasedKeys'>;
}

export async function readJob(deps: AdminReadDeps, jobId: string): Promise<HttpAnswer> {
  const job = await deps.ledger.readJob(jobId);
  if (job === undefined) throw permanent('not-found', `There is no job ${jobId}.`);
  const { state, total, done, failed, users } = job;
  return { status: 200, body: { state, total, done, failed, users } };
}

/** `{"users":[…],"next"}`: pass `next` as `after` for the following page. */
export async function readUsers(deps: AdminReadDeps, query: URLSearchParams): Promise<HttpAnswer> {
  const after = query.get('after');
  if (after !== null && !/^\d{1,32}$/.test(after))
    throw invalidInput('malformed-request', '"after" must be a user id.');
  const limit = pageSize(query);
  const page = await deps.ledger.users({ limit, ...(after === null ? {} : { afterUserId: after }) });
  const last = page.at(-1)?.user?.userId;
  return {
    status: 200,
    body: {
      users: page.map(summary),
      ...(page.length === limit && last !== undefined ? { next: last } : {}),
    },
  };
}

/** One user by immutable id or by present or former address. */
export async function readUser(deps: AdminReadDeps, name: string): Promise<HttpAnswer> {
  const userId = /^\d+$/.test(name) ? name : await deps.ledger.userIdOfAddress(name.toLowerCase());
  const ledger = userId === undefined ? undefined : await deps.ledger.readUser(userId);
  if (ledger?.user === undefined)
    throw permanent('not-found', `The ledger knows nobody called ${name}.${howToName(name)}`);
  return { status: 200, body: detail(ledger, await deps.ledger.erasedKeys(ledger.user.userId)) };
}

function summary(ledger: UserLedger) {
  const { user } = ledger;
  return {
    userId: user?.userId,
    user: user?.primaryEmail,
    state: user?.state,
    reason: user?.reason,
    since: user?.since,
    nextAction: user?.nextAction,
    nextActionAt: user?.nextActionAt,
    notices: ledger.notices.map(({ kind, message, since }) => ({ kind, message, since })),
  };
}

/** Everything but the wrapped keys: they are of no use to a reader, and what is not shown cannot leak. */
function detail(ledger: UserLedger, erasedKeys: readonly ErasedKey[]) {
  return {
    ...summary(ledger),
    certificates: ledger.leaves.map((leaf) => {
      const key = ledger.keys.find((candidate) => candidate.keyId === leaf.keyId);
      const erased = erasedKeys.find((candidate) => candidate.keyId === leaf.keyId);
      const keypair = ledger.keypairs.find((candidate) => candidate.serialHex === leaf.serialHex);
      const device = ledger.deviceKeys.find((candidate) => candidate.keyId === leaf.keyId);
      return {
        serial: leaf.serialHex,
        holder: leaf.holder,
        device: device?.device,
        deviceId: device?.keyId,
        state: leaf.state,
        purpose: leaf.purpose,
        addresses: leaf.addresses,
        notBefore: leaf.notBefore,
        notAfter: leaf.notAfter,
        issuer: leaf.issuerId,
        revocation: leaf.revocation,
        retirement: leaf.retirement,
        certificate: leaf.leafDer === undefined ? undefined : Buffer.from(leaf.leafDer).toString('base64'),
        keyId: leaf.keyId,
        spkiSha256: key?.spkiSha256Hex ?? erased?.spkiSha256Hex ?? device?.spkiSha256Hex,
        keyService: key?.keyServiceUrl,
        keyProof: key?.proof,
        smartCard: key?.card?.description,
        keypairId: keypair?.keypairId,
        keypairDisabled: keypair?.disabled,
      };
    }),
    imported: (ledger.imported ?? []).map((imported) => importView(ledger, imported)),
    erasedKeys: erasedKeys.map(({ spkiSha256Hex, ...erased }) => ({ spkiSha256: spkiSha256Hex, ...erased })),
    openWishes: ledger.openWishes,
  };
}
