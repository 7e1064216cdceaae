/**
 * The key service's keys for signing tokens, out of Secret Manager. Each is one pinned version of a secret: a private
 * RSA key of 2048 bits or more, PKCS#8, PEM or DER.
 *
 * The first one signs, all are published. Others keep our key set for an hour, so to change keys: add the new version
 * at the end of the list, wait, then move it to the front; take the old one away when nothing it signed is valid.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Secrets } from '../../ports/secrets.ts';
import type { TokenSigningKey, TokenSigningKeys } from '../../ports/token-signing-keys.ts';
import { pinnedSecrets } from './pinned-secrets.ts';

const SMALLEST_MODULUS_BITS = 2048;

/**
 * Throws `settings-invalid` (permanent) at once for names it cannot use. Reading throws the errors of `Secrets`, and
 * `secret-unreadable` (permanent) for a payload that is no such key.
 */
export function secretTokenSigningKeys(options: {
  /** Full resource names, the signing one first; only pinned version numbers. */
  readonly versions: readonly string[];
  readonly secrets: Pick<Secrets, 'read'>;
  readonly clock: Clock;
}): TokenSigningKeys {
  const keys = pinnedSecrets({ ...options, what: 'token signing key', parse: readSigningKey });
  const [first] = keys.ids;
  return {
    current: () => read(first),
    published: async () =>
      (await Promise.all(keys.ids.map(read))).map(({ keyId, privateKey }) => ({
        keyId,
        publicKey: createPublicKey(privateKey),
      })),
  };

  async function read(id: string): Promise<TokenSigningKey> {
    const key = await keys.read(id);
    if (key === undefined) throw new Error(`The token signing key ${id} is not among the named ones.`);
    return key;
  }
}

function readSigningKey(payload: Uint8Array, version: string): TokenSigningKey {
  const bytes = Buffer.from(payload);
  const privateKey = parsePkcs8(bytes);
  bytes.fill(0);
  const bits = privateKey?.asymmetricKeyDetails?.modulusLength ?? 0;
  if (privateKey?.asymmetricKeyType !== 'rsa' || bits < SMALLEST_MODULUS_BITS) {
    throw permanent(
      'secret-unreadable',
      `The token signing key ${version} must be an unencrypted RSA private key of at least ${SMALLEST_MODULUS_BITS} bits, PKCS#8 as PEM or DER.`,
    );
  }
  return { keyId: thumbprint(privateKey), privateKey };
}

function parsePkcs8(payload: Buffer): KeyObject | undefined {
  try {
    return payload.subarray(0, 5).toString('latin1') === '-----'
      ? createPrivateKey({ key: payload, format: 'pem' })
      : createPrivateKey({ key: payload, format: 'der', type: 'pkcs8' });
  } catch {
    // OpenSSL's own words say nothing an admin could use.
    return undefined;
  }
}

/** RFC 7638 section 3: SHA-256 over the required members, in this order, without white space; base64url. */
function thumbprint(privateKey: KeyObject): string {
  const { e, kty, n } = createPublicKey(privateKey).export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ e, kty, n })).digest('base64url');
}
