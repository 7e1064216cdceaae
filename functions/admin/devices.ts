/**
 * Keys of other mail clients. The key is made where it will be used, or on the admin's own machine: what comes here is a
 * certification request, which proves possession and carries no secret. It is written down, and the one loop certifies it.
 */
import { z } from 'zod';
import type { ActivePolicySource } from '../../shared/activation/active-policy.ts';
import type { DeviceKeyRecord, LeafRecord, UserLedger } from '../../shared/domain/records.ts';
import {
  isRevocationReason,
  REVOCATION_REASONS,
  type RevocationReason,
} from '../../shared/domain/revocation-reason.ts';
import { isSealwrightError, permanent, retryable } from '../../shared/errors.ts';
import { type CertifiableKey, readCertificationRequest } from '../../shared/pki/certification-request.ts';
import { sharedWithKnownKeys } from '../../shared/pki/known-keys.ts';
import { INTENT_LIFETIME_MS } from '../../shared/plan/timing.ts';
import type { Bus } from '../../shared/ports/bus.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import type { Log } from '../../shared/ports/log.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { bodyOf } from './body.ts';
import { chainOf } from './certificates.ts';
import { refuseForObserved } from './observed.ts';
import { howToName } from './somebody.ts';

export interface DeviceDeps {
  readonly clock: Clock;
  readonly ledger: Pick<
    Ledger,
    | 'userIdOfAddress'
    | 'readUser'
    | 'readIssuer'
    | 'readBlockedKey'
    | 'knownPublicKeys'
    | 'recordDeviceKey'
    | 'readDeviceKey'
    | 'withdrawDeviceKey'
    | 'acquireLease'
    | 'releaseLease'
    | 'recordRetirement'
    | 'audit'
  >;
  readonly policies: ActivePolicySource;
  readonly bus: Pick<Bus, 'publishHints'>;
  readonly log: Log;
}

const asked = z.strictObject({
  user: z.string().min(3).max(320),
  device: z
    .string()
    .trim()
    .min(1)
    .max(100)
    .regex(/^[^\p{Cc}]*$/u, 'must be one line of text'),
  /** PKCS#10, DER, base64. */
  request: z.base64().min(1).max(30_000),
});

const revocation = z.strictObject({
  reason: z.custom<RevocationReason>(isRevocationReason, {
    error: `must be one of ${Object.keys(REVOCATION_REASONS).join(', ')}`,
  }),
});

/** States in which the loop would certify a key: everybody else is leaving or gone. */
const COVERED_STATES: ReadonlySet<string> = new Set(['ready', 'pending', 'blocked']);

/** 202 and the request as `readDevice` shows it. The same request again is done already and answers the same. */
export async function requestDevice(deps: DeviceDeps, admin: string, body: unknown): Promise<HttpAnswer> {
  const { user: name, device, request } = bodyOf(asked, body);
  const { user } = await userOf(deps, name);
  if (user === undefined)
    throw permanent('not-found', `The ledger knows nobody called ${name}.${howToName(name)}`);
  refuseForObserved((await deps.policies.current()).policy, user);
  if (!COVERED_STATES.has(user.state)) {
    throw permanent('conflict', `${user.primaryEmail} gets no certificate: ${user.reason}`, {
      details: { field: 'user', state: user.state },
    });
  }
  const key = readCertificationRequest(Buffer.from(request, 'base64'));
  await assertNewAndSound(deps, key);
  const { spkiDer, spkiSha256Hex } = key;
  const { userId } = user;
  const recorded = await deps.ledger.recordDeviceKey({
    userId,
    device,
    spkiDer,
    spkiSha256Hex,
    requestedBy: admin,
  });
  await announce(
    deps,
    admin,
    recorded,
    'device-requested',
    `${admin} asked for a certificate for "${device}".`,
  );
  return { status: 202, body: await viewOf(deps, recorded) };
}

async function userOf(deps: DeviceDeps, name: string): Promise<UserLedger> {
  const userId = /^\d+$/.test(name) ? name : await deps.ledger.userIdOfAddress(name.toLowerCase());
  if (userId === undefined)
    throw permanent('not-found', `The ledger knows nobody called ${name}.${howToName(name)}`);
  return await deps.ledger.readUser(userId);
}

/** Never a key that was given away, nor one that shares a number with any we know. */
async function assertNewAndSound(
  deps: DeviceDeps,
  { spkiDer, spkiSha256Hex }: CertifiableKey,
): Promise<void> {
  const blocked = await deps.ledger.readBlockedKey(spkiSha256Hex);
  if (blocked !== undefined) {
    throw permanent(
      'key-blocked',
      `This key was revoked for compromise on ${blocked.blockedAt.toISOString()} (serial ${blocked.serialHex}) and is never certified again. Make a new key.`,
      { details: { spkiSha256Hex, serialHex: blocked.serialHex } },
    );
  }
  const weakness = await sharedWithKnownKeys(deps.ledger, spkiDer);
  if (weakness === undefined) return;
  throw permanent('key-weak', `The key is not certified. ${weakness.sentence}`, {
    details: { weakness: weakness.id, spkiSha256Hex },
  });
}

/** What became of a request; with the certificate and its chain once there is one. */
export async function readDevice(deps: DeviceDeps, keyId: string): Promise<HttpAnswer> {
  return { status: 200, body: await viewOf(deps, await deviceOf(deps, keyId)) };
}

async function deviceOf(deps: DeviceDeps, keyId: string): Promise<DeviceKeyRecord> {
  const key = await deps.ledger.readDeviceKey(keyId);
  if (key === undefined) throw permanent('not-found', `There is no device ${keyId}.`);
  return key;
}

async function viewOf(deps: DeviceDeps, key: DeviceKeyRecord): Promise<Readonly<Record<string, unknown>>> {
  const ledger = await deps.ledger.readUser(key.userId);
  const leaf = leafOf(ledger, key);
  return {
    id: key.keyId,
    user: ledger.user?.primaryEmail,
    device: key.device,
    spkiSha256: key.spkiSha256Hex,
    requestedBy: key.requestedBy,
    requestedAt: key.createdAt,
    state: stateOf(deps, key, leaf),
    // Somebody who waits is told what the user waits for.
    reason: ledger.user?.reason,
    serial: leaf?.serialHex,
    notAfter: leaf?.notAfter,
    revocation: leaf?.revocation,
    retirement: leaf?.retirement,
    ...(leaf?.leafDer === undefined ? {} : await chainOf(deps, leaf.leafDer, leaf.issuerId)),
  };
}

const leafOf = (ledger: UserLedger, key: DeviceKeyRecord): LeafRecord | undefined =>
  ledger.leaves.findLast((leaf) => leaf.keyId === key.keyId);

function stateOf(deps: DeviceDeps, key: DeviceKeyRecord, leaf: LeafRecord | undefined): string {
  if (leaf?.revocation !== undefined) return 'revoked';
  if (leaf?.state === 'signed' && key.withdrawnAt === undefined) return 'issued';
  if (key.withdrawnAt !== undefined) return 'withdrawn';
  const waitedMs = deps.clock.now().getTime() - key.createdAt.getTime();
  return waitedMs > INTENT_LIFETIME_MS ? 'expired' : 'waiting';
}

/**
 * Takes a request back and has its certificate, if there is one, revoked for this reason: `keyCompromise` blocks the key for
 * good. 202; again is done already. Under a rule that only observes no certificate is revoked for another reason.
 */
export async function revokeDevice(
  deps: DeviceDeps,
  admin: string,
  keyId: string,
  body: unknown,
): Promise<HttpAnswer> {
  const { reason } = bodyOf(revocation, body);
  const key = await deviceOf(deps, keyId);
  const ledger = await deps.ledger.readUser(key.userId);
  const leaf = leafOf(ledger, key);
  const isToBeRevoked = leaf !== undefined && leaf.revocation === undefined;
  if (isToBeRevoked && reason !== 'keyCompromise' && ledger.user !== undefined)
    refuseForObserved((await deps.policies.current()).policy, ledger.user);
  // The reason first: whoever sees the request withdrawn revokes at once, for the reason that was decided.
  if (isToBeRevoked) {
    await underLease(deps, key.userId, (lease) =>
      deps.ledger.recordRetirement(lease, { serialHex: leaf.serialHex, reason, dueAt: deps.clock.now() }),
    );
  }
  await deps.ledger.withdrawDeviceKey(keyId, admin);
  await announce(deps, admin, key, 'device-revoked', `${admin} revokes "${key.device}" (${reason}).`);
  return { status: 202, body: await viewOf(deps, await deviceOf(deps, keyId)) };
}

const LEASE_MS = 10_000;
const LEASE_ATTEMPTS = 20;
const LEASE_PAUSE_MS = 250;

async function underLease(
  deps: DeviceDeps,
  userId: string,
  write: (lease: Lease) => Promise<void>,
): Promise<void> {
  const lease = await acquire(deps, `user:${userId}`);
  try {
    await write(lease);
  } finally {
    // The first time it may stay ours because somebody asked for a look; the hint that follows is that look.
    while ((await deps.ledger.releaseLease(lease)) !== 'released');
  }
}

async function acquire(deps: DeviceDeps, subject: string): Promise<Lease> {
  for (let attempt = 0; attempt < LEASE_ATTEMPTS; attempt += 1) {
    const lease = await deps.ledger.acquireLease(subject, LEASE_MS);
    if (lease !== undefined) return lease;
    await new Promise((resolve) => setTimeout(resolve, LEASE_PAUSE_MS));
  }
  throw retryable('lease-held', 'Somebody works on this user just now; nothing was written, ask again.', {
    retryAfterMs: 5_000,
  });
}

/** What matters is committed and the user is due; from here on a failure is logged and not thrown. */
async function announce(
  deps: DeviceDeps,
  admin: string,
  key: DeviceKeyRecord,
  event: 'device-requested' | 'device-revoked',
  reason: string,
): Promise<void> {
  const cause = { source: 'admin', eventId: key.keyId, event, actor: admin } as const;
  const { userId, keyId, device, spkiSha256Hex } = key;
  try {
    const details = { deviceKeyId: keyId, device, spkiSha256Hex };
    await deps.ledger.audit({ userId, cause, step: event, reason, outcome: 'done', details });
    await deps.bus.publishHints([{ userId, cause }]);
    deps.log.info(event, { userId, admin, ...details });
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    deps.log.error(`${event}-not-announced`, { keyId, code: error.code, message: error.message });
  }
}
