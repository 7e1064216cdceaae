import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { derToPem, pemToDer, pemToDers } from '../../shared/pki/pem.ts';

describe('PEM', () => {
  it('gives back the bytes it was made from', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 500 }), (der) => {
        expect(pemToDer(derToPem('CERTIFICATE', der), 'CERTIFICATE')).toEqual(der);
      }),
    );
  });

  it('keeps the order of several blocks, past text and blocks of other labels', () => {
    const text = [
      'subject: first\n',
      derToPem('CERTIFICATE', Uint8Array.of(1)),
      derToPem('X509 CRL', Uint8Array.of(9)),
      derToPem('CERTIFICATE', Uint8Array.of(2)).replaceAll('\n', '\r\n'),
    ].join('');
    expect(pemToDers(text, 'CERTIFICATE')).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
  });

  test.each([
    ['a block that is not closed', '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n'],
    ['a block that is not base64', '-----BEGIN PRIVATE KEY-----\nc2Vjc$mV0\n-----END PRIVATE KEY-----'],
    ['an empty block', '-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----'],
    ['a block cut in the middle', '-----BEGIN PRIVATE KEY-----\nc2VjcmV\n-----END PRIVATE KEY-----'],
  ])('refuses %s without repeating it', (_what, text) => {
    expect(() => pemToDer(text, 'PRIVATE KEY')).toThrow(
      expect.objectContaining({ code: 'settings-invalid', message: expect.not.stringContaining('c2Vj') }),
    );
  });

  it('wants exactly one block where one is asked for', () => {
    const one = derToPem('CERTIFICATE', Uint8Array.of(1));
    expect(() => pemToDer('', 'CERTIFICATE')).toThrow('found none');
    expect(() => pemToDer(one + one, 'CERTIFICATE')).toThrow('found 2');
  });
});
