import type { KeyObject } from 'node:crypto';
import { failedPrecondition, GoogleError } from '../core/google-error.ts';
import type { Account } from '../core/rooms.ts';
import type { MailCertificate } from './certificate.ts';
import type { SealedKey } from './cms-unseal.ts';
import type { CseTokens, HeldKeyPair } from './deps.ts';

const TIMEOUT_MS = 30_000;

/** One use of a private key. */
export interface KeyUse {
  readonly account: Account;
  readonly keyPair: HeldKeyPair;
  readonly leaf: MailCertificate;
  /** RFC 5322 Message-ID with angle brackets. */
  readonly messageId: string;
}

/**
 * Gmail's web client towards a key service (KACLS): fresh tokens for each call, in the body.
 * https://developers.google.com/workspace/cse/reference/private-key-sign and …/private-key-decrypt
 *
 * Throws `GoogleError` 400 for a pair that cannot be used and 502 with the service's own words when it refuses.
 */
export class KeyServiceClient {
  readonly #tokens: CseTokens;
  readonly #fetch: typeof globalThis.fetch;

  constructor(tokens: CseTokens, fetch: typeof globalThis.fetch) {
    this.#tokens = tokens;
    this.#fetch = fetch;
  }

  /** A PKCS#1 v1.5 signature over the SHA-256 `digest`. */
  async sign(use: KeyUse, digest: Buffer): Promise<Buffer> {
    requireRsa(use.leaf.publicKey);
    const answer = await this.#call('privatekeysign', 'signer', use, {
      algorithm: 'SHA256withRSA',
      digest: digest.toString('base64'),
      reason: 'sign email',
    });
    return bytesIn(answer, 'signature', 'privatekeysign');
  }

  /** The content key that was sealed to the leaf. */
  async unseal(use: KeyUse, sealed: SealedKey): Promise<Buffer> {
    const answer = await this.#call('privatekeydecrypt', 'decrypter', use, {
      algorithm: sealed.algorithm,
      encrypted_data_encryption_key: sealed.encryptedKey.toString('base64'),
      ...(sealed.oaepLabel === undefined ? {} : { rsa_oaep_label: sealed.oaepLabel.toString('base64') }),
      reason: 'decrypt email',
    });
    return bytesIn(answer, 'data_encryption_key', 'privatekeydecrypt');
  }

  async #call(
    operation: 'privatekeysign' | 'privatekeydecrypt',
    role: 'signer' | 'decrypter',
    { account, keyPair, leaf, messageId }: KeyUse,
    fields: Readonly<Record<string, string>>,
  ): Promise<Readonly<Record<string, unknown>>> {
    if (!keyPair.enabled) throw failedPrecondition(`The key pair ${keyPair.keyPairId} is disabled.`);
    if (keyPair.wrapped === undefined) {
      throw failedPrecondition(
        `The private key of the key pair ${keyPair.keyPairId} is on a smart card, which only its holder can use.`,
      );
    }
    const { kaclsUri, kaclsData } = keyPair.wrapped;
    const tokens = await this.#tokens({
      email: account.primaryEmail,
      keyPairId: keyPair.keyPairId,
      role,
      spkiHashBase64: leaf.spkiHashBase64,
      kaclsUrl: kaclsUri,
      messageId,
    });
    const body = JSON.stringify({ ...tokens, ...fields, wrapped_private_key: kaclsData });
    return this.#post(`${kaclsUri.replace(/\/$/, '')}/${operation}`, operation, body);
  }

  async #post(url: string, operation: string, body: string): Promise<Readonly<Record<string, unknown>>> {
    let status: number;
    let text: string;
    try {
      const response = await this.#fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          origin: 'https://client-side-encryption.google.com',
        },
        body,
        redirect: 'manual',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      status = response.status;
      text = await response.text();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw refused(`The key service did not answer ${operation} at ${url}: ${why}.`);
    }
    const answer = jsonObject(text);
    if (status !== 200) {
      const why = typeof answer?.['message'] === 'string' ? answer['message'] : 'it gave no message';
      throw refused(`The key service refused ${operation} with HTTP ${status}: ${why}`);
    }
    if (answer === undefined) throw refused(`The key service answered ${operation} with something but JSON.`);
    return answer;
  }
}

const refused = (sentence: string): GoogleError =>
  new GoogleError(502, 'keyServiceRefused', sentence, { status: 'UNAVAILABLE' });

function requireRsa(key: KeyObject): void {
  if (key.asymmetricKeyType === 'rsa') return;
  throw failedPrecondition('A key service can sign with RSA keys only: its API has no other algorithm.');
}

function jsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function bytesIn(answer: Readonly<Record<string, unknown>>, field: string, operation: string): Buffer {
  const value = answer[field];
  if (typeof value === 'string' && value !== '') return Buffer.from(value, 'base64');
  throw refused(`The key service answered ${operation} without ${field}.`);
}
