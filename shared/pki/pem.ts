/** PEM (RFC 7468): base64 in lines of 64 between two labels. */
import { permanent } from '../errors.ts';

export type PemLabel =
  | 'CERTIFICATE'
  | 'CERTIFICATE REQUEST'
  | 'NEW CERTIFICATE REQUEST'
  | 'X509 CRL'
  | 'CERTIFICATE REQUEST'
  | 'PKCS7'
  | 'CMS'
  | 'PRIVATE KEY'
  | 'ENCRYPTED PRIVATE KEY'
  | 'PUBLIC KEY';

/** Strict text encoding of RFC 7468 §3; ends with a line break. */
export function derToPem(label: PemLabel, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/**
 * All blocks with this label, in order. Text between blocks is ignored, as RFC 7468 §2 allows; a block that is not
 * closed or not base64 throws `settings-invalid`, without echoing what it holds (it could be a private key).
 */
export function pemToDers(pem: string, label: PemLabel): readonly Uint8Array[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  return pem
    .split(begin)
    .slice(1)
    .map((rest) => {
      const close = rest.indexOf(end);
      const base64 = rest.slice(0, Math.max(close, 0)).replaceAll(/\s/g, '');
      const wellFormed = /^[A-Za-z0-9+/]+={0,2}$/.test(base64) && base64.length % 4 === 0;
      if (close < 0 || !wellFormed) {
        throw permanent(
          'settings-invalid',
          `A PEM block labelled ${label} is damaged: it must be base64 between "${begin}" and "${end}".`,
        );
      }
      return new Uint8Array(Buffer.from(base64, 'base64'));
    });
}

/** The only block with this label; throws `settings-invalid` when there is none or more than one. */
export function pemToDer(pem: string, label: PemLabel): Uint8Array {
  const [der, ...more] = pemToDers(pem, label);
  if (der === undefined || more.length > 0) {
    const found = der === undefined ? 'none' : `${more.length + 1}`;
    throw permanent(
      'settings-invalid',
      `Exactly one PEM block labelled ${label} was expected, found ${found}.`,
    );
  }
  return der;
}
