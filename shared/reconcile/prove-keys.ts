/**
 * From unproven to proven: a sample of ours is encrypted to each public key, and the key service opens it with the wrapped key
 * that Gmail has. Only somebody whom the key service lets do that can ask, so it takes an admin's token; it is used for this and
 * kept nowhere.
 */
import { constants, createPublicKey, publicEncrypt, timingSafeEqual } from 'node:crypto';
import { isSealwrightError, type SealwrightError } from '../errors.ts';
import type { RandomBytes } from '../pki/serial.ts';
import type { KeyProving } from '../ports/key-proving.ts';
import type { KeyToProve } from '../ports/ledger/key-proofs.ts';
import type { AuditEntry, Ledger } from '../ports/ledger.ts';
import type { Log } from '../ports/log.ts';

export interface ProveDeps {
  readonly ledger: Pick<Ledger, 'keysToProve' | 'recordProof' | 'audit'>;
  readonly keyProving: KeyProving;
  /** A CSPRNG; draws samples. */
  readonly random: RandomBytes;
  readonly log: Log;
}

export interface ProveRun {
  readonly keyServiceUrl: string;
  readonly authentication: string;
  readonly admin: string;
  /** Id of the last key of the run before. */
  readonly after?: string;
}

export interface Proofs {
  readonly proven: number;
  /** Keys of which the service said they do not open, or that opened to something else. */
  readonly failed: readonly {
    readonly keyId: string;
    readonly userId: string;
    readonly user: string;
    readonly reason: string;
  }[];
  /** Where the next run begins; absent after the last. */
  readonly next?: string;
}

const KEYS_PER_RUN = 20;
const SAMPLE_BYTES = 32;

/** Throws what the key service says about the admin or about itself, and the ledger's errors. */
export async function proveKeys(deps: ProveDeps, run: ProveRun): Promise<Proofs> {
  const { keyServiceUrl, after } = run;
  const keys = await deps.ledger.keysToProve({
    keyServiceUrl,
    limit: KEYS_PER_RUN,
    ...(after === undefined ? {} : { after }),
  });
  let proven = 0;
  const failed: Proofs['failed'][number][] = [];
  for (const key of keys) {
    const reason = await whyUnproven(deps, run, key);
    const line: AuditEntry = {
      userId: key.userId,
      cause: { source: 'admin', eventId: key.keyId, event: 'keys-prove', actor: run.admin },
      step: 'prove-key',
      reason: reason ?? `${keyServiceUrl} opened the wrapped key and decrypted a sample with it.`,
      outcome: reason === undefined ? 'done' : 'failed',
      details: { keyId: key.keyId, spkiSha256Hex: key.spkiSha256Hex },
    };
    if (reason === undefined) {
      await deps.ledger.recordProof(key.keyId, 'proven', line);
      proven += 1;
    } else {
      const { keyId, userId, primaryEmail: user } = key;
      deps.log.error('wrapped-key-unproven', { keyId, userId, message: reason });
      failed.push({ keyId, userId, user, reason });
      await deps.ledger.audit(line);
    }
  }
  const last = keys.length === KEYS_PER_RUN ? keys.at(-1)?.keyId : undefined;
  return { proven, failed, ...(last === undefined ? {} : { next: last }) };
}

/** Undefined when the service decrypted the sample. */
async function whyUnproven(deps: ProveDeps, run: ProveRun, key: KeyToProve): Promise<string | undefined> {
  const sample = deps.random(SAMPLE_BYTES);
  const publicKey = createPublicKey({ key: Buffer.from(key.spkiDer), format: 'der', type: 'spki' });
  const encrypted = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, sample);
  const { keyServiceUrl, authentication } = run;
  const { wrappedKey, spkiSha256Hex } = key;
  try {
    const opened = await deps.keyProving.decryptSample({
      ...{ keyServiceUrl, authentication, wrappedKey, spkiSha256Hex, encrypted },
    });
    const same = opened.length === sample.length && timingSafeEqual(opened, sample);
    return same
      ? undefined
      : `${keyServiceUrl} opened the wrapped key to another key than the certified one.`;
  } catch (error) {
    if (!isSealwrightError(error) || !isAboutTheBlob(error)) throw error;
    return error.message;
  }
}

const isAboutTheBlob = ({ code, details }: SealwrightError): boolean =>
  code === 'key-service-refused' && [400, 422].includes(Number(details?.['httpStatus']));
