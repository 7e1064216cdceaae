/**
 * Folders of keys wrapped elsewhere, in the layout that Google's own script and GAM read: `ADDRESS.wrap`, JSON with
 * `kacls_url` and `wrapped_private_key`, and `ADDRESS.p7pem`, a certificate chain for the same key. Of the chain only the
 * public key is taken: certificates are this product's own. https://support.google.com/a/answer/13069736
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { permanent, type SealwrightError } from '../../errors.ts';
import { readChainFile } from '../../pki/chain-file.ts';
import { weakKey } from '../../pki/weak-key.ts';
import type { SuppliedKey, SuppliedKeys } from '../../ports/supplied-keys.ts';

const LONGEST_WRAPPED_KEY = 8192;
const [SMALLEST_BITS, LARGEST_BITS] = [2048, 4096];

export function keyFolder(folder: string): SuppliedKeys {
  return {
    async find({ address, keyServiceUrl }) {
      // The address comes from the directory, and a name with a slash would leave the folder.
      if (!/^[^/\\\0]+@[^/\\\0]+$/.test(address)) throw unusable(address, 'its address cannot name a file');
      const [wrap, chain] = await Promise.all(
        ['wrap', 'p7pem'].map((extension) => readOf(join(folder, `${address}.${extension}`), address)),
      );
      return { ...publicKeyOf(address, chain), wrappedKey: wrappedKeyOf(address, wrap, keyServiceUrl) };
    },
  };
}

async function readOf(path: string, address: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw unusable(address, `${path} cannot be read (${code ?? 'unknown error'}); put both files there`);
  }
}

function wrappedKeyOf(address: string, file: Buffer | undefined, keyServiceUrl: string): string {
  const { kacls_url: url, wrapped_private_key: wrapped } = jsonOf(address, file);
  if (typeof url !== 'string' || withoutSlash(url) !== withoutSlash(keyServiceUrl)) {
    throw unusable(
      address,
      `its .wrap file is for another key service than ${keyServiceUrl}; wrap the key there, or correct the policy`,
    );
  }
  const fits =
    typeof wrapped === 'string' &&
    wrapped.length <= LONGEST_WRAPPED_KEY &&
    /^[A-Za-z0-9+/]+={0,2}$/.test(wrapped);
  if (fits) return wrapped;
  throw unusable(
    address,
    `"wrapped_private_key" of its .wrap file is no standard base64 of at most ${LONGEST_WRAPPED_KEY} characters`,
  );
}

function jsonOf(address: string, file: Buffer | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(file?.toString('utf8') ?? '');
    if (value !== null && typeof value === 'object') return value as Record<string, unknown>;
  } catch {
    // Said below, without the text: it may hold a key in the wrong form.
  }
  throw unusable(address, 'its .wrap file is no JSON object with kacls_url and wrapped_private_key');
}

function publicKeyOf(address: string, file: Buffer | undefined): Omit<SuppliedKey, 'wrappedKey'> {
  const leaf = leafOf(address, file ?? Buffer.alloc(0));
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

function leafOf(address: string, file: Buffer): X509Certificate {
  let certificates: readonly X509Certificate[];
  try {
    const { certificatesDer, pkcs8Der } = readChainFile(file);
    if (pkcs8Der !== undefined) {
      pkcs8Der.fill(0);
      throw unusable(
        address,
        'its .p7pem file holds a private key in the clear: take the key for compromised',
      );
    }
    certificates = certificatesDer.map((der) => new X509Certificate(der));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'supplied-key-unusable') throw error;
    throw unusable(address, 'its .p7pem file is no certificate chain', error);
  }
  const [leaf, ...others] = certificates.length === 1 ? certificates : certificates.filter((one) => !one.ca);
  if (leaf !== undefined && others.length === 0) return leaf;
  throw unusable(address, 'its .p7pem file does not hold exactly one end-entity certificate');
}

const withoutSlash = (url: string): string => (url.endsWith('/') ? url.slice(0, -1) : url);

const unusable = (address: string, why: string, cause?: unknown): SealwrightError =>
  permanent('supplied-key-unusable', `The key supplied for ${address} cannot be used: ${why}.`, {
    ...(cause === undefined ? {} : { cause }),
  });
