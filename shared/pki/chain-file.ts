/**
 * Certificates in whatever an admin has: PEM with one or many blocks, DER, PKCS#7 and PKCS#12. Told apart by their
 * bytes, never by a file name.
 */
import { invalidInput, isSealwrightError } from '../errors.ts';
import { derFromBer } from './ber.ts';
import { DerError, inside, readWhole } from './der-reader.ts';
import { pemToDers } from './pem.ts';
import { readPkcs7Certificates } from './pkcs7.ts';
import { readPkcs12 } from './pkcs12.ts';
import { PRIVATE_KEY_LABEL, readPrivateKeyPem } from './private-key.ts';

export type ChainFormat = 'PEM' | 'DER' | 'PKCS#7' | 'PKCS#12';

export interface ChainFile {
  readonly format: ChainFormat;
  /** In the file's order, copies left out. */
  readonly certificatesDer: readonly Uint8Array[];
  /** PKCS#8, where the file has a private key. */
  readonly pkcs8Der: Uint8Array | undefined;
}

/** A hundred times the longest chain anybody sends; more would only cost time. */
export const LARGEST_FILE_BYTES = 4 * 2 ** 20;

/** The identifier octet that all of them begin with in DER. */
const SEQUENCE = 0x30;

/**
 * Reads a file. Throws `malformed-request` (invalid-input) with one sentence; `details.problem` is `password-missing`,
 * `wrong-password`, `unsupported`, `too-large`, `empty` or `malformed`.
 */
export function readChainFile(bytes: Uint8Array, password?: string): ChainFile {
  if (bytes.length > LARGEST_FILE_BYTES) {
    throw unreadable(
      'too-large',
      `The file has ${bytes.length} bytes, which no chain has: it must be under 4 MB.`,
    );
  }
  const file = read(bytes, password);
  const certificatesDer = file.certificatesDer.filter(
    (der, index, all) => all.findIndex((other) => Buffer.compare(other, der) === 0) === index,
  );
  if (certificatesDer.length === 0) {
    throw unreadable(
      'empty',
      `The file is ${file.format} and holds no certificate: export the chain, leaf first.`,
    );
  }
  return { ...file, certificatesDer };
}

function read(bytes: Uint8Array, password: string | undefined): ChainFile {
  const text = Buffer.from(bytes).toString('latin1');
  if (text.includes('-----BEGIN ')) return readPem(text, password);
  const nothing = whyNothing(bytes);
  if (nothing !== undefined) throw unreadable(bytes.length === 0 ? 'empty' : 'malformed', nothing);
  try {
    return readBinary(bytes, password);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw unreadable(
      'malformed',
      `The file is neither PEM nor ${BINARY}: ${error.message}. Export the chain again.`,
    );
  }
}

const BINARY = 'a certificate, PKCS#7 (P7B, P7M) or PKCS#12 file in DER';

/** For files that were never DER, where to say at which byte they are wrong would lead nowhere. */
function whyNothing(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return 'The file is empty. Export the chain again.';
  // Every certificate has octets that no text has, such as the tag of a number.
  if (!bytes.some((octet) => octet < 0x20 && (octet < 0x09 || octet > 0x0d)))
    return `The file is text without a PEM block: it is neither PEM nor ${BINARY}. Export the chain again.`;
  if (bytes[0] !== SEQUENCE)
    return `The file is neither PEM nor ${BINARY}: it begins like none of them. Export the chain again.`;
  return undefined;
}

function readPem(text: string, password: string | undefined): ChainFile {
  try {
    const plain = pemToDers(text, 'CERTIFICATE');
    const bundles = (['PKCS7', 'CMS'] as const).flatMap((label) => pemToDers(text, label));
    return {
      format: bundles.length > 0 ? 'PKCS#7' : 'PEM',
      certificatesDer: [...plain, ...bundles.flatMap(readPkcs7Certificates)],
      pkcs8Der: PRIVATE_KEY_LABEL.test(text) ? readPrivateKeyPem(text, password) : undefined,
    };
  } catch (error) {
    if (error instanceof DerError) {
      throw unreadable(
        'malformed',
        `The PKCS#7 block cannot be read: ${error.message}. Export the chain again.`,
      );
    }
    if (!isSealwrightError(error) || error.code !== 'settings-invalid') throw error;
    throw unreadable('malformed', error.message);
  }
}

function readBinary(bytes: Uint8Array, password: string | undefined): ChainFile {
  const first = firstTag(bytes);
  if (first === 0x02) {
    if (password === undefined)
      throw unreadable('password-missing', 'The file is PKCS#12: give its password.');
    const { certificatesDer, pkcs8Der } = readPkcs12(bytes, password);
    return { format: 'PKCS#12', certificatesDer, pkcs8Der };
  }
  if (first === 0x06) {
    return { format: 'PKCS#7', certificatesDer: readPkcs7Certificates(bytes), pkcs8Der: undefined };
  }
  // Whether it is a certificate at all is the linter's to say, with a rule.
  if (first !== SEQUENCE) throw new DerError('it begins like nothing known', 0);
  return { format: 'DER', certificatesDer: [bytes], pkcs8Der: undefined };
}

/** Identifier octet of the first element inside the outermost SEQUENCE: INTEGER, OBJECT IDENTIFIER or SEQUENCE. */
function firstTag(bytes: Uint8Array): number | undefined {
  return inside(readWhole(derFromBer(bytes), 'SEQUENCE', 'the file')).peek();
}

const unreadable = (problem: string, message: string) =>
  invalidInput('malformed-request', message, { details: { problem } });
