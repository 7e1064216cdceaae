/** POST privatekeysign, https://developers.google.com/workspace/cse/reference/private-key-sign */
import type { Operation } from './access.ts';
import { algorithmLabel, signatureAlgorithm } from './algorithms.ts';
import { encodeBase64 } from './base64.ts';
import { optionalInteger, requiredBytes, requiredText } from './fields.ts';
import { openKeyFor } from './key-use.ts';
import { signDigest } from './signing.ts';
import type { AuthorizedUser } from './user-access.ts';

const LONGEST_DIGEST = 128;

/** Answers `{signature}` over the digest as given. */
export const privateKeySign: Operation<AuthorizedUser> = async (request, user, context) => {
  const { body, note } = request;
  const algorithm = signatureAlgorithm(requiredText(body, 'algorithm'), context.settings);
  note({ algorithm: algorithmLabel(algorithm) });
  const digest = requiredBytes(body, 'digest', LONGEST_DIGEST);
  const saltLength = algorithm.scheme === 'pss' ? optionalInteger(body, 'rsa_pss_salt_length') : undefined;
  const key = await openKeyFor(user, request, context);
  return {
    signature: encodeBase64(signDigest(key, algorithm, digest, { saltLength, random: context.random })),
  };
};
