/** Ways to run the loop in tests. */
import { permanent, retryable, type SealwrightError } from '../../shared/errors.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { type RunOutcome, reconcile } from '../../shared/reconcile/run.ts';
import type { Around, PortCall } from '../support/fakes/calls.ts';
import { CAUSE, type World } from '../support/fakes/world.ts';
import { USER_ID } from './workflows.ts';

/** One look at the user the workflows are about. */
export const look = (deps: ReconcileDeps, userId = USER_ID): Promise<RunOutcome> =>
  reconcile(deps, userId, CAUSE);

/** Throws this error instead of, or after, every call of one kind. */
export const failing =
  (
    error: SealwrightError,
    which: (call: PortCall) => boolean,
    moment: 'before' | 'after' = 'before',
  ): Around =>
  async (call, perform) => {
    if (!which(call)) return await perform();
    if (moment === 'after') await perform();
    throw error;
  };

/** True for calls of this method. */
export const named =
  (method: string) =>
  (call: PortCall): boolean =>
    call.method === method;

/** What each port throws, in its own words. */
export const PASSING: Readonly<Record<string, SealwrightError>> = {
  ledger: retryable('ledger-unavailable', 'The database is away.'),
  directory: retryable('directory-unavailable', 'The directory is away.'),
  gmail: retryable('gmail-unavailable', 'Gmail is away.'),
  keyService: retryable('key-service-unavailable', 'The key service is away.'),
  signing: retryable('signing-unavailable', 'The function that signs is away.'),
  bus: retryable('bus-unavailable', 'Pub/Sub is away.'),
  bucket: retryable('storage-unavailable', 'The bucket is away.'),
  secrets: retryable('secrets-unavailable', 'Secret Manager is away.'),
  deadLetters: retryable('bus-unavailable', 'Pub/Sub is away.'),
};

export const LASTING: Readonly<Record<string, SealwrightError>> = {
  directory: permanent('directory-refused', 'The directory refuses.'),
  gmail: permanent('gmail-refused', 'Gmail refuses.'),
  keyService: permanent('key-service-refused', 'The key service refuses.'),
  signing: permanent('ca-key-unusable', 'The CA key is damaged.'),
};

export const rowOf = async (world: World, userId = USER_ID) => (await world.ledger.readUser(userId)).user;

export const revocationsOf = async (world: World, userId = USER_ID) =>
  (await world.ledger.readUser(userId)).leaves.map((leaf) => leaf.revocation?.reason);
