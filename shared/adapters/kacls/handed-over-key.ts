/** What the folders of keys made elsewhere have in common: names of files, certificate chains, what fits a key. */
import { X509Certificate } from 'node:crypto';
import { type ErrorCode, permanent, type SealwrightError } from '../../errors.ts';
import { readChainFile } from '../../pki/chain-file.ts';
import { weakKey } from '../../pki/weak-key.ts';

const [SMALLEST_BITS, LARGEST_BITS] = [2048, 4096];

export type Unusable = (address: string, why: string, cause?: unknown) => SealwrightError;

export const unusableKey =
  (code: ErrorCode, what: string): Unusable =>
  (address, why, cause) =>
    permanent(code, `The ${what} for ${address} cannot be used: ${why}.`, {
      ...(cause === undefined ? {} : { cause }),
    });

/** The address comes from the directory, and a name with a slash would leave the folder. */
export const namesFile = (address: string): boolean => /^[^/\\\0]+@[^/\\\0]+$/.test(address);

interface PublicKey {
  readonly spkiDer: Uint8Array;
  readonly modulusBits: number;
}

/** The key of the one end-entity certificate in a chain file, which must name `address`. */
export function publicKeyOfChain(address: string, file: Buffer, unusable: Unusable): PublicKey {
  const leaf = leafOf(address, file, unusable);
  if (leaf.checkEmail(address) === undefined) {
    throw unusable(
      address,
      'the certificate in its .p7pem file names other addresses; the files may be mixed up',
    );
  }
  const bits = leaf.publicKey.asymmetricKeyDetails?.modulusLength ?? 0;
  if (leaf.publicKey.asymmetricKeyType !== 'rsa' || bits < SMALLEST_BITS || bits > LARGEST_BITS) {
    throw unusable(address, `its key is no RSA key of ${SMALLEST_BITS} to ${LARGEST_BITS} bits`);
  }
  const spkiDer = new Uint8Array(leaf.publicKey.export({ type: 'spki', format: 'der' }));
  const weakness = weakKey(spkiDer);
  if (weakness !== undefined) throw unusable(address, `its key is weak: ${weakness.sentence}`);
  return { spkiDer, modulusBits: bits };
}

function leafOf(address: string, file: Buffer, unusable: Unusable): X509Certificate {
  const certificates = certificatesOf(address, file, unusable);
  const [leaf, ...others] = certificates.length === 1 ? certificates : certificates.filter((one) => !one.ca);
  if (leaf !== undefined && others.length === 0) return leaf;
  throw unusable(address, 'its .p7pem file does not hold exactly one end-entity certificate');
}

function certificatesOf(address: string, file: Buffer, unusable: Unusable): readonly X509Certificate[] {
  let chain: ReturnType<typeof readChainFile>;
  try {
    chain = readChainFile(file);
    if (chain.pkcs8Der === undefined) return chain.certificatesDer.map((der) => new X509Certificate(der));
  } catch (error) {
    throw unusable(address, 'its .p7pem file is no certificate chain', error);
  }
  chain.pkcs8Der.fill(0);
  throw unusable(address, 'its .p7pem file holds a private key in the clear: take the key for compromised');
}
