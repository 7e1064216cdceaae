import { type ErrorCode, permanent, retryable } from '../../errors.ts';
import type { Signing } from '../../ports/signing.ts';
import { leanFetch } from '../google/lean-fetch.ts';

export interface SigningClientOptions {
  /** Base address of the `sign` function. */
  readonly signUrl: string;
  /** An ID token of this function's own service account for that audience. */
  readonly fetchIdToken: (audience: string) => Promise<string>;
}

const TIMEOUT_MS = 30_000;
/** A CRL of a million entries is read, compared with the ledger, signed and written. */
const CRL_TIMEOUT_MS = 240_000;
/** Refusals that asking again cannot change keep their own code; anything else may pass. */
const LASTING: ReadonlySet<string> = new Set<ErrorCode>([
  'lint-failed',
  'intent-mismatch',
  'ca-key-unusable',
  'not-found',
  'issuer-missing',
  'secret-missing',
  'secret-unreadable',
  'kms-key-unusable',
  'kms-answer-refused',
  'forbidden',
  'unauthenticated',
]);

/** Calls the private `sign` function over HTTPS as this function's own service account. */
export function signingClient(options: SigningClientOptions): Signing {
  const [sendNow, sendCrl] = [leanFetch(TIMEOUT_MS), leanFetch(CRL_TIMEOUT_MS)];
  const ask = async (path: string, body: unknown, send = sendNow): Promise<Record<string, unknown>> => {
    const response = await send(new URL(path, withSlash(options.signUrl)), {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await options.fetchIdToken(options.signUrl)}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(body),
    }).catch((error: unknown) => {
      throw retryable('signing-unavailable', 'The function that signs did not answer.', { cause: error });
    });
    const answer = parsed(await response.text());
    // A redirect is no answer either, and is not followed.
    if (!response.ok) throw refusal(response.status, answer);
    return answer;
  };
  const post = async (path: string, body: unknown, field: string): Promise<Uint8Array> => {
    const value = (await ask(path, body))[field];
    if (typeof value !== 'string' || value === '') {
      throw retryable('signing-unavailable', `The function that signs answered without "${field}".`);
    }
    return new Uint8Array(Buffer.from(value, 'base64'));
  };
  return {
    signLeaf: (serialHex) => post('v1/leaf', { serialHex }, 'leaf'),
    signCrl: async (issuerId, crlNumber) => {
      await ask('v1/crl', { issuerId, crlNumber: String(crlNumber) }, sendCrl);
    },
    signOcspSigner: (serialHex) => post('v1/ocsp-signer', { serialHex }, 'certificate'),
    signAuditSigner: (serialHex) => post('v1/audit-signer', { serialHex }, 'certificate'),
    signCheckpoint: (number) => post('v1/checkpoint', { number: String(number) }, 'signed'),
    signOcspBatch: async (batchId) => {
      await ask('v1/ocsp', { batchId: String(batchId) });
    },
  };
}

/** Whatever is no JSON object holds none of the fields that are looked for. */
function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function refusal(status: number, answer: Record<string, unknown>) {
  const error = (answer['error'] ?? {}) as { message?: unknown; details?: { reason?: unknown }[] };
  const message = typeof error.message === 'string' ? error.message : `HTTP ${status}`;
  const reason = error.details?.[0]?.reason;
  if (typeof reason === 'string' && LASTING.has(reason)) {
    return permanent(reason as ErrorCode, `The function that signs refused: ${message}`);
  }
  return retryable('signing-unavailable', `The function that signs could not: ${message}`);
}

const withSlash = (url: string): string => (url.endsWith('/') ? url : `${url}/`);
