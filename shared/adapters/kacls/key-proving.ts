/** Calls `privilegedprivatekeydecrypt` of any key service, with an admin's token. Nothing of the request enters an error. */
import { retryable } from '../../errors.ts';
import type { KeyProving } from '../../ports/key-proving.ts';
import { call, isBase64, type KaclsKeyServiceOptions, requireConfidential } from './client.ts';

const ADVICE: Readonly<Record<number, string>> = {
  400: 'it cannot read the wrapped key, or the request',
  401: 'it does not accept the token; take a fresh one from the identity provider it knows for admins',
  403: 'it does not let the token’s owner use privilegedprivatekeydecrypt; have the right granted there',
  404: 'it has no privilegedprivatekeydecrypt',
  405: 'it has no privilegedprivatekeydecrypt',
  422: 'the key-encryption key that the wrapped key needs is not there',
};

export function kaclsKeyProving(options: Pick<KaclsKeyServiceOptions, 'timeoutMs' | 'fetch'>): KeyProving {
  return {
    async decryptSample({ keyServiceUrl, authentication, wrappedKey, spkiSha256Hex, encrypted }) {
      const base = keyServiceUrl.endsWith('/') ? keyServiceUrl.slice(0, -1) : keyServiceUrl;
      requireConfidential(base);
      const request = {
        authentication,
        algorithm: 'RSA/ECB/PKCS1Padding',
        encrypted_data_encryption_key: Buffer.from(encrypted).toString('base64'),
        spki_hash: Buffer.from(spkiSha256Hex, 'hex').toString('base64'),
        spki_hash_algorithm: 'SHA-256',
        wrapped_private_key: wrappedKey,
        reason: 'proof of a wrapped key by a sample',
      };
      const answer = await call(`${base}/privilegedprivatekeydecrypt`, base, options, request, ADVICE);
      const { data_encryption_key: opened } = answer;
      if (typeof opened === 'string' && isBase64(opened)) return Buffer.from(opened, 'base64');
      throw retryable(
        'key-service-answer-invalid',
        `The answer of the key service ${base} has no "data_encryption_key" in standard base64.`,
      );
    },
  };
}
