/**
 * Algorithm names on the wire. They are Java's (JCA); Google publishes two of them and no list, so spelling is taken
 * loosely: case, separators and the word "and" do not count. What they mean is taken strictly.
 */
import { invalidInput } from '../errors.ts';

export type HashName = 'sha1' | 'sha256' | 'sha384' | 'sha512';

export const HASH_BYTES: Readonly<Record<HashName, number>> = {
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
};

export interface SignatureAlgorithm {
  /** RFC 8017: RSASSA-PKCS1-v1_5 (section 8.2) or RSASSA-PSS (8.1). */
  readonly scheme: 'pkcs1' | 'pss';
  readonly hash: HashName;
}

export type EncryptionAlgorithm =
  /** RSAES-PKCS1-v1_5, RFC 8017 section 7.2. */
  | { readonly scheme: 'pkcs1' }
  /** RSAES-OAEP, section 7.1. */
  | { readonly scheme: 'oaep'; readonly hash: HashName };

const HASHES = Object.keys(HASH_BYTES) as HashName[];

const SIGNATURES: ReadonlyMap<string, SignatureAlgorithm> = new Map(
  HASHES.flatMap((hash): [string, SignatureAlgorithm][] => [
    [`${hash}withrsa`, { scheme: 'pkcs1', hash }],
    [`${hash}withrsapss`, { scheme: 'pss', hash }],
    // Bouncy Castle's name for the same.
    [`${hash}withrsamgf1`, { scheme: 'pss', hash }],
  ]),
);

const ENCRYPTIONS: ReadonlyMap<string, EncryptionAlgorithm> = new Map([
  ['rsaecbpkcs1padding', { scheme: 'pkcs1' }],
  ...HASHES.map((hash): [string, EncryptionAlgorithm] => [
    `rsaecboaepwith${hash}mgf1padding`,
    { scheme: 'oaep', hash },
  ]),
]);

const canonical = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '')
    .replaceAll('and', '');

/** Throws `malformed-request` (invalid input) for an unknown name, and for SHA-1 unless it is switched on. */
export function signatureAlgorithm(
  name: string,
  options: { readonly sha1Signing: boolean },
): SignatureAlgorithm {
  const algorithm = SIGNATURES.get(canonical(name));
  if (algorithm === undefined) {
    throw invalidInput(
      'malformed-request',
      '"algorithm" names no signature algorithm of this service; it has SHA256withRSA, SHA384withRSA, SHA512withRSA and the same with /PSS.',
    );
  }
  if (algorithm.hash === 'sha1' && !options.sha1Signing) {
    throw invalidInput('malformed-request', '"algorithm": this key service does not sign with SHA-1.');
  }
  return algorithm;
}

/** Throws `malformed-request` (invalid input) for an unknown name. */
export function encryptionAlgorithm(name: string): EncryptionAlgorithm {
  const algorithm = ENCRYPTIONS.get(canonical(name));
  if (algorithm !== undefined) return algorithm;
  throw invalidInput(
    'malformed-request',
    '"algorithm" names no encryption algorithm of this service; it has RSA/ECB/PKCS1Padding and RSA/ECB/OAEPwithSHA-{1,256,384,512}andMGF1Padding.',
  );
}

/** As the audit line names it. */
export const algorithmLabel = (algorithm: SignatureAlgorithm | EncryptionAlgorithm): string =>
  'hash' in algorithm ? `${algorithm.scheme}-${algorithm.hash}` : algorithm.scheme;
