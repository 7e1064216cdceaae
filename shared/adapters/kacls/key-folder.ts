/**
 * Folders of keys wrapped elsewhere, in the layout that Google's own script and GAM read: `ADDRESS.wrap`, JSON with
 * `kacls_url` and `wrapped_private_key`, and `ADDRESS.p7pem`, a certificate chain for the same key. Of the chain only the
 * public key is taken: certificates are this product's own. https://support.google.com/a/answer/13069736
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SuppliedKeys } from '../../ports/supplied-keys.ts';
import { namesFile, publicKeyOfChain, unusableKey } from './handed-over-key.ts';

const LONGEST_WRAPPED_KEY = 8192;

export function keyFolder(folder: string): SuppliedKeys {
  return {
    async find({ address, keyServiceUrl }) {
      if (!namesFile(address)) throw unusable(address, 'its address cannot name a file');
      const [wrap, chain] = await Promise.all(
        ['wrap', 'p7pem'].map((extension) => readOf(join(folder, `${address}.${extension}`), address)),
      );
      return {
        ...publicKeyOfChain(address, chain ?? Buffer.alloc(0), unusable),
        wrappedKey: wrappedKeyOf(address, wrap, keyServiceUrl),
      };
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

const withoutSlash = (url: string): string => (url.endsWith('/') ? url.slice(0, -1) : url);

const unusable = unusableKey('supplied-key-unusable', 'key supplied');
