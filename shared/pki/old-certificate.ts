/**
 * Certificates of old mail: of any CA, maybe long expired, maybe not quite DER. Only what is needed to bring their key along
 * is read, by OpenSSL, which forgives what the linter does not; nothing is ever issued or trusted because of it.
 */
import { X509Certificate } from 'node:crypto';
import { invalidInput } from '../errors.ts';
import { DerError } from './der-reader.ts';
import { type Weakness, weakKey } from './weak-key.ts';

export interface OldCertificate {
  readonly spkiDer: Uint8Array;
  /** 0 for a key that is not RSA. */
  readonly modulusBits: number;
  /** Of subject and subjectAltName, lower case, none twice; may be none. */
  readonly addresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly subject: string;
}

const LARGEST_BITS = 4096;

/** Throws `malformed-request` (invalid-input) for bytes that are no certificate. */
export function readOldCertificate(certificateDer: Uint8Array): OldCertificate {
  const certificate = parsed(certificateDer);
  const { publicKey } = certificate;
  return {
    spkiDer: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
    modulusBits:
      publicKey.asymmetricKeyType === 'rsa' ? (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) : 0,
    addresses: addressesOf(certificate),
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    subject: certificate.subject.replaceAll('\n', ', '),
  };
}

/**
 * Throws `malformed-request` (invalid-input) with `details.problem` `not-rsa` for a key that Gmail's key services cannot use, and
 * `key-weak` for one that others can compute or that is too short: mail under it is no secret.
 */
export function requireImportableKey({ spkiDer, modulusBits }: OldCertificate): void {
  if (modulusBits === 0 || modulusBits > LARGEST_BITS) {
    throw unusable(
      'not-rsa',
      `The key is no RSA key of 2048 to ${LARGEST_BITS} bits, and Gmail decrypts with no other.`,
    );
  }
  const weakness = weaknessOf(spkiDer);
  if (weakness !== undefined) throw weakKeyRefused(weakness);
}

/** `key-weak` (invalid-input): the weakness of a key that is to be imported. */
export const weakKeyRefused = ({ id, sentence }: Weakness) =>
  invalidInput('key-weak', `The key is not imported. ${sentence}`, { details: { weakness: id } });

function parsed(certificateDer: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(certificateDer);
  } catch (error) {
    throw invalidInput('malformed-request', 'The certificate cannot be read.', { cause: error });
  }
}

function weaknessOf(spkiDer: Uint8Array): ReturnType<typeof weakKey> {
  try {
    return weakKey(spkiDer);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw unusable('not-rsa', 'The key is not encoded as an RSA key is.');
  }
}

const unusable = (problem: string, message: string) =>
  invalidInput('malformed-request', message, { details: { problem } });

/** OpenSSL's text forms, as Node gives them: "email:a@b, email:c@d", quoted where an entry holds odd characters. */
function addressesOf({ subject, subjectAltName = '' }: X509Certificate): readonly string[] {
  const named = [...subjectAltName.matchAll(/(?:^|, )"?email:([^\s,"]+@[^\s,"]+)/g)];
  const inSubject = [...subject.matchAll(/^(?:emailAddress|CN)=(\S+@\S+)$/gm)];
  return [...new Set([...named, ...inSubject].map(([, address = '']) => address.toLowerCase()))];
}
