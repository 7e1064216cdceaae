/** Keys of old mail in PKCS#12 files: out of the file, and fit to be imported or not. */
import { createHash, createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { isSealwrightError } from '../../shared/errors.ts';
import { readOldCertificate, requireImportableKey } from '../../shared/pki/old-certificate.ts';
import { readPkcs12Keys } from '../../shared/pki/pkcs12.ts';
import type { Call } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { CommandFailure, UsageError } from '../failure.ts';
import { readInput } from '../input-file.ts';
import { type PromptStreams, passwordFor } from '../password.ts';

export interface OldKey {
  readonly file: string;
  /** The certificate, then what the file has beside it. */
  readonly chainDer: readonly [Uint8Array, ...Uint8Array[]];
  readonly addresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly spkiSha256Hex: string;
  /** PKCS#8. Whoever is done with it overwrites it. */
  readonly pkcs8Der: Uint8Array;
  /** Why it cannot be imported. */
  readonly unfit?: string;
}

/** Every key of every file, each with each of its certificates. Throws `CommandFailure` (exit code 2) naming the file. */
export async function readOldKeys(
  call: Call,
  files: readonly string[],
  streams: PromptStreams,
): Promise<readonly OldKey[]> {
  const keys: OldKey[] = [];
  try {
    for (const file of files) {
      const bytes = readInput(file);
      const password = await passwordFor(call, streams, `Password of ${file}: `);
      if (password === undefined)
        throw new UsageError(
          `${file} is under a password: give --password-file FILE, set SEALWRIGHT_PASSWORD, or run this at a terminal.`,
        );
      keys.push(...keysIn(file, bytes, password));
    }
    return keys;
  } catch (error) {
    forget(keys);
    throw error;
  }
}

/** Overwrites the private keys. */
export function forget(keys: readonly OldKey[]): void {
  for (const { pkcs8Der } of keys) pkcs8Der.fill(0);
}

function keysIn(file: string, bytes: Uint8Array, password: string): readonly OldKey[] {
  try {
    const { certificatesDer, pkcs8Ders } = readPkcs12Keys(bytes, password);
    if (pkcs8Ders.length === 0) throw new UsageError(`${file} holds no private key.`);
    const found = pkcs8Ders.flatMap((pkcs8Der) => withCertificates(file, pkcs8Der, certificatesDer));
    if (found.length === 0) throw new UsageError(`${file} holds no certificate of its private key.`);
    return found;
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    throw new CommandFailure(error.code, `${file}: ${error.message}`, { cause: error, exitCode: EXIT.usage });
  }
}

function withCertificates(
  file: string,
  pkcs8Der: Uint8Array,
  certificatesDer: readonly Uint8Array[],
): readonly OldKey[] {
  const key = createPrivateKey({ key: Buffer.from(pkcs8Der), format: 'der', type: 'pkcs8' });
  const spkiDer = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const spkiSha256Hex = createHash('sha256').update(spkiDer).digest('hex');
  const isOfKey = (der: Uint8Array) =>
    new X509Certificate(der).publicKey.export({ type: 'spki', format: 'der' }).equals(spkiDer);
  return certificatesDer.filter(isOfKey).map((certificateDer) => {
    const certificate = readOldCertificate(certificateDer);
    const { addresses, notBefore, notAfter } = certificate;
    const chainDer = [certificateDer, ...above(certificateDer, certificatesDer)] as const;
    return {
      ...{ file, chainDer, addresses, notBefore, notAfter, spkiSha256Hex, pkcs8Der },
      ...whyUnfit(certificate),
    };
  });
}

const LONGEST_CHAIN = 8;

/** The certificates above this one, as far as the file has them: many programs put every CA they know beside a key. */
function above(certificateDer: Uint8Array, certificatesDer: readonly Uint8Array[]): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  let last = new X509Certificate(certificateDer);
  while (chain.length < LONGEST_CHAIN && !last.checkIssued(last)) {
    const next = certificatesDer.find((der) => isIssuedBy(last, new X509Certificate(der)));
    if (next === undefined || chain.includes(next)) break;
    chain.push(next);
    last = new X509Certificate(next);
  }
  return chain;
}

const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

function whyUnfit(certificate: Parameters<typeof requireImportableKey>[0]): { readonly unfit?: string } {
  try {
    requireImportableKey(certificate);
    return {};
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    return { unfit: error.message };
  }
}
