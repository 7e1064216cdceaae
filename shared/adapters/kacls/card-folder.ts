/**
 * Public keys of smart cards, in the folder where supplied keys lie too. For each user and purpose one file:
 * `ADDRESS.csr`, a certification request signed by the card (PKCS#10, PEM or DER), or `ADDRESS.p7pem`, a chain that another CA
 * issued for the card. With a split profile the names end in `.signing` and `.encryption` before that.
 *
 * A request proves that the card has the key. A chain proves nothing here: whoever puts it into the folder answers for it.
 */
import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSealwrightError } from '../../errors.ts';
import { readCertificationRequest } from '../../pki/certification-request.ts';
import { pemToDer } from '../../pki/pem.ts';
import type { CardKey, CardKeys } from '../../ports/card-keys.ts';
import { namesFile, publicKeyOfChain, unusableKey } from './handed-over-key.ts';

export function cardFolder(folder: string): CardKeys {
  return {
    async find({ address, purpose }) {
      if (!namesFile(address)) throw unusable(address, 'its address cannot name a file');
      const name = join(folder, purpose === 'dual-use' ? address : `${address}.${purpose}`);
      const [request, chain] = await Promise.all(
        ['csr', 'p7pem'].map((extension) => contentOf(`${name}.${extension}`, address)),
      );
      if (request !== undefined && chain !== undefined) {
        throw unusable(address, `both ${name}.csr and ${name}.p7pem are there; leave the one that is meant`);
      }
      if (request !== undefined) return keyOfRequest(address, request);
      if (chain !== undefined) return publicKeyOfChain(address, chain, unusable);
      throw unusable(
        address,
        `there is neither ${name}.csr nor ${name}.p7pem; have the card make a key and put its certification request there`,
      );
    },
  };
}

async function contentOf(path: string, address: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw unusable(address, `${path} cannot be read (${code ?? 'unknown error'})`);
  }
}

function keyOfRequest(address: string, file: Buffer): CardKey {
  const { spkiDer } = readRequest(address, file);
  const key = createPublicKey({ key: Buffer.from(spkiDer), format: 'der', type: 'spki' });
  const modulusBits = key.asymmetricKeyDetails?.modulusLength;
  if (key.asymmetricKeyType !== 'rsa' || modulusBits === undefined) {
    throw unusable(address, 'its key is no RSA key, and Gmail takes no other');
  }
  return { spkiDer, modulusBits };
}

/** PEM under either of its labels, or DER. */
function derOf(file: Buffer): Uint8Array {
  const text = file.toString('latin1');
  if (!text.includes('-----BEGIN ')) return file;
  const label = text.includes('-----BEGIN NEW ') ? 'NEW CERTIFICATE REQUEST' : 'CERTIFICATE REQUEST';
  return pemToDer(text, label);
}

function readRequest(address: string, file: Buffer) {
  try {
    return readCertificationRequest(derOf(file));
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    throw unusable(address, `its .csr file is not taken. ${error.message.replace(/\.$/, '')}`, error);
  }
}

const unusable = unusableKey('card-key-unusable', 'card key handed over');
