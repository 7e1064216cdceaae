/** The forms in which certificates leave: text for programs on servers, files for mail clients. */
import { randomBytes } from 'node:crypto';
import { derToPem } from '../../shared/pki/pem.ts';
import { certsOnlyPkcs7 } from '../../shared/pki/pkcs7.ts';
import { type Pkcs12File, type Pkcs12Form, writePkcs12 } from '../../shared/pki/pkcs12.ts';
import type { CertificateChain } from '../admin/answers.ts';

export const FORMATS = {
  pem: 'the chain in PEM, leaf first',
  leaf: 'the certificate alone in PEM',
  der: 'the certificate alone in DER',
  pkcs7: 'the chain as PKCS#7 in PEM, as Gmail takes it',
  'pkcs7-der': 'the chain as PKCS#7 in DER (.p7b)',
  pkcs12: 'chain and private key under a password: AES-256, HMAC-SHA-256',
  'pkcs12-legacy': 'the same with 3DES and SHA-1, for programs that read nothing newer',
} as const;

export type Format = keyof typeof FORMATS;

export const isFormat = (text: string): text is Format => Object.hasOwn(FORMATS, text);
/** Formats that are text and may go to standard output. */
export const isText = (format: Format): boolean =>
  format === 'pem' || format === 'leaf' || format === 'pkcs7';
export const pkcs12Form = (format: Format): Pkcs12Form | undefined =>
  format === 'pkcs12' ? 'modern' : format === 'pkcs12-legacy' ? 'legacy' : undefined;

/** A legacy file's password is all there is between 3DES and a guesser. */
export const leastPassword = (form: Pkcs12Form): number => (form === 'legacy' ? 16 : 8);

export interface Ders {
  readonly leafDer: Uint8Array;
  /** Issuing CA, then root. */
  readonly chainDer: readonly Uint8Array[];
}

export const dersOf = ({ certificate, chain }: Pick<CertificateChain, 'certificate' | 'chain'>): Ders => ({
  leafDer: Buffer.from(certificate, 'base64'),
  chainDer: chain.map((der) => Buffer.from(der, 'base64')),
});

/** Everything but PKCS#12. */
export function publicExport(
  format: Exclude<Format, 'pkcs12' | 'pkcs12-legacy'>,
  { leafDer, chainDer }: Ders,
): Buffer {
  const pem = (der: Uint8Array) => derToPem('CERTIFICATE', der);
  switch (format) {
    case 'pem':
      return Buffer.from([leafDer, ...chainDer].map(pem).join(''));
    case 'leaf':
      return Buffer.from(pem(leafDer));
    case 'der':
      return Buffer.from(leafDer);
    case 'pkcs7':
      return Buffer.from(derToPem('PKCS7', certsOnlyPkcs7([leafDer, ...chainDer])));
    case 'pkcs7-der':
      return Buffer.from(certsOnlyPkcs7([leafDer, ...chainDer]));
    default:
      return format satisfies never;
  }
}

/** Throws `malformed-request` where the key is not the certificate's. */
export const pkcs12Export = (
  form: Pkcs12Form,
  ders: Ders,
  key: { readonly pkcs8Der: Uint8Array; readonly friendlyName: string; readonly password: string },
): Pkcs12File => writePkcs12({ form, ...ders, ...key, random: randomBytes });
