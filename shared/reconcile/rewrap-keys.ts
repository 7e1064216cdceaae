/**
 * Rotation in the background: wrapped keys of our own key service are wrapped again under its newest key-encryption key, a
 * few at a time, and kept beside the forms Gmail has. What does not open is recorded, so that it is told and not tried
 * all day; nothing is guessed.
 */
import { isSealwrightError, type SealwrightError } from '../errors.ts';
import type { KeyRewrapping } from '../ports/key-rewrapping.ts';
import type { KeyToRewrap } from '../ports/ledger/rewrapped-keys.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Log } from '../ports/log.ts';

export interface RewrapDeps {
  readonly ledger: Pick<Ledger, 'keysToRewrap' | 'recordRewrapped' | 'recordUnreadable'>;
  readonly keyRewrapping: KeyRewrapping;
  readonly log: Log;
}

export interface RewrapRun {
  readonly rewrapped: number;
  readonly unreadable: number;
  /** Whether there may be more to do at once. */
  readonly more: boolean;
}

const KEYS_PER_RUN = 100;
const NOTHING: RewrapRun = { rewrapped: 0, unreadable: 0, more: false };

/** Never throws for what a key service says; throws the ledger's errors. */
export async function rewrapKeys(
  deps: RewrapDeps,
  run: { readonly keyServiceUrl: string; readonly eventId: string },
): Promise<RewrapRun> {
  // Which key-encryption key is the newest, only the key service knows: any one key shows it.
  const [sample] = await deps.ledger.keysToRewrap({ ...run, kekId: '', limit: 1 });
  if (sample === undefined) return NOTHING;
  const done = { rewrapped: 0, unreadable: 0 };
  const kekId = await rewrapOne(deps, run, sample, done);
  if (kekId === 'stop') return { ...done, more: false };
  if (kekId === undefined) return { ...done, more: true };
  const waiting = await deps.ledger.keysToRewrap({ ...run, kekId, limit: KEYS_PER_RUN });
  for (const key of waiting) {
    if ((await rewrapOne(deps, run, key, done)) === 'stop') return { ...done, more: false };
  }
  return { ...done, more: waiting.length === KEYS_PER_RUN };
}

/** Answers the newest key-encryption key; undefined when this key does not open; `stop` when none would now. */
async function rewrapOne(
  deps: RewrapDeps,
  run: { readonly keyServiceUrl: string; readonly eventId: string },
  key: KeyToRewrap,
  done: { rewrapped: number; unreadable: number },
): Promise<string | undefined> {
  let newer: { readonly wrappedKey: string; readonly kekId: string };
  try {
    newer = await deps.keyRewrapping.rewrapPrivateKey({ ...run, wrappedKey: key.wrappedKey });
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    if (!isAboutTheBlob(error)) {
      deps.log.warning('keys-not-rewrapped', { code: error.code, message: error.message });
      return 'stop';
    }
    await deps.ledger.recordUnreadable(key.keyId, { kekId: key.kekId, reason: error.message });
    deps.log.error('wrapped-key-unreadable', {
      keyId: key.keyId,
      userId: key.userId,
      kekId: key.kekId,
      message: error.message,
    });
    done.unreadable += 1;
    return undefined;
  }
  if (newer.kekId === key.kekId) return newer.kekId;
  const outcome = await deps.ledger.recordRewrapped(key.keyId, newer.wrappedKey, {
    userId: key.userId,
    cause: { source: 'due', eventId: run.eventId, event: 'key-encryption-key-rotated' },
    step: 'rewrap-key',
    reason: `The wrapped key was under ${key.kekId}, which is no longer the newest.`,
    outcome: 'done',
    details: { keyId: key.keyId, fromKekId: key.kekId, kekId: newer.kekId },
  });
  if (outcome === 'recorded') done.rewrapped += 1;
  return newer.kekId;
}

const isAboutTheBlob = ({ code, details }: SealwrightError): boolean =>
  code === 'key-service-refused' && [400, 422].includes(Number(details?.['httpStatus']));
