import { constants, createHash, createPublicKey, publicDecrypt, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { signatureAlgorithm } from '../../shared/kacls/algorithms.ts';
import { decodeBase64 } from '../../shared/kacls/base64.ts';
import { digestInfo } from '../../shared/kacls/signing.ts';

const vector = JSON.parse(
  readFileSync(new URL('../vectors/kacls/gmail-privatekeysign.json', import.meta.url), 'utf8'),
) as Record<string, string>;
const field = (name: string): string => vector[name] ?? '';
const bytes = (name: string): Buffer => decodeBase64(field(name)) ?? Buffer.alloc(0);

const publicKey = createPublicKey({ key: bytes('publicKeySpkiDer'), format: 'der', type: 'spki' });
const algorithm = signatureAlgorithm(field('algorithm'), { sha1Signing: false });
/** What a signature says, taken out with the public key. */
const signed = (signature: Buffer): Buffer =>
  publicDecrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, signature);

describe('a real privatekeysign call of Gmail', () => {
  it('names the public key by the hash that its token carries', () => {
    const hash = createHash('sha256').update(bytes('publicKeySpkiDer')).digest('base64');
    expect(hash).toBe(field('spkiHash'));
  });

  it('is answered by a signature over what we would sign for its digest', () => {
    expect(algorithm).toEqual({ scheme: 'pkcs1', hash: 'sha256' });
    expect(signed(bytes('signature'))).toEqual(digestInfo('sha256', bytes('digest')));
  });

  it('is not answered by the published response, which hashes the digest once more', () => {
    const published = bytes('publishedWrongSignature');
    expect(published).toHaveLength(512);
    expect(signed(published)).not.toEqual(digestInfo('sha256', bytes('digest')));
    expect(verify('sha256', bytes('digest'), publicKey, published)).toBe(true);
    expect(verify('sha256', bytes('digest'), publicKey, bytes('signature'))).toBe(false);
  });
});
