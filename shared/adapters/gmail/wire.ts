/** What the Gmail API sends and takes, from and into our words. */
import { createHash, X509Certificate } from 'node:crypto';
import type { gmail_v1 } from 'googleapis/build/src/apis/gmail/v1.js';
import type { GmailIdentity, GmailKeypair } from '../../domain/gmail.ts';
import { retryable, type SealwrightError } from '../../errors.ts';

/** Wrapped keys come back with each key pair; they are not asked for, so they do not travel. */
export const KEYPAIR_PAGE_FIELDS =
  'nextPageToken,cseKeyPairs(keyPairId,enablementState,disableTime,pem,subjectEmailAddresses)';

export function toKeypair(pair: gmail_v1.Schema$CseKeyPair): GmailKeypair {
  const { keyPairId, enablementState, disableTime } = pair;
  if (!keyPairId) throw unusable('a key pair has no keyPairId');
  if (enablementState !== 'enabled' && enablementState !== 'disabled')
    throw unusable(
      `the key pair ${keyPairId} is neither enabled nor disabled but "${enablementState ?? ''}"`,
    );
  const disabledAt = disableTime ? new Date(disableTime) : undefined;
  const leafSha256Hex = leafDigest(pair.pem ?? '');
  return {
    keypairId: keyPairId,
    enabled: enablementState === 'enabled',
    ...(disabledAt === undefined || Number.isNaN(disabledAt.getTime()) ? {} : { disabledAt }),
    ...(leafSha256Hex === undefined ? {} : { leafSha256Hex }),
    subjectAddresses: (pair.subjectEmailAddresses ?? []).map((address) => address.toLowerCase()),
  };
}

export function toIdentity(identity: gmail_v1.Schema$CseIdentity): GmailIdentity {
  const address = identity.emailAddress?.toLowerCase();
  if (!address) throw unusable('an identity has no emailAddress');
  const { signingKeyPairId, encryptionKeyPairId } = identity.signAndEncryptKeyPairs ?? {};
  if (identity.primaryKeyPairId)
    return { address, use: { kind: 'dual', keypairId: identity.primaryKeyPairId } };
  if (signingKeyPairId && encryptionKeyPairId) {
    return {
      address,
      use: { kind: 'split', signingKeypairId: signingKeyPairId, encryptionKeypairId: encryptionKeyPairId },
    };
  }
  throw unusable(`the identity ${address} names no key pair`);
}

export const fromIdentity = ({ address, use }: GmailIdentity): gmail_v1.Schema$CseIdentity =>
  use.kind === 'dual'
    ? { emailAddress: address, primaryKeyPairId: use.keypairId }
    : {
        emailAddress: address,
        signAndEncryptKeyPairs: {
          signingKeyPairId: use.signingKeypairId,
          encryptionKeyPairId: use.encryptionKeypairId,
        },
      };

/**
 * SHA-256 of the leaf among the certificates of a PEM chain, lower-case hex: the first that issued no other one, since
 * Gmail promises no order. Undefined when one of them cannot be read.
 */
export function leafDigest(pem: string): string | undefined {
  // Gmail gives the same chains at every look, and reading one takes thirty times as long as knowing it again.
  const key = createHash('sha256').update(pem).digest('base64');
  const known = leafDigests.get(key);
  if (known !== undefined) return known;
  const digest = readLeafDigest(pem);
  if (digest === undefined) return undefined;
  if (leafDigests.size >= MOST_DIGESTS) leafDigests.clear();
  leafDigests.set(key, digest);
  return digest;
}

/** By the SHA-256 of the text; about 200 bytes each. */
const leafDigests = new Map<string, string>();
const MOST_DIGESTS = 5_000;

function readLeafDigest(pem: string): string | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  let chain: readonly X509Certificate[];
  try {
    chain = blocks.map((block) => new X509Certificate(block));
  } catch {
    return undefined;
  }
  const leaf = chain.find((candidate) =>
    chain.every((other) => other === candidate || !other.checkIssued(candidate)),
  );
  return leaf === undefined ? undefined : createHash('sha256').update(leaf.raw).digest('hex');
}

/** Gmail answered, but not with what it promises. */
export const unusable = (what: string): SealwrightError =>
  retryable('gmail-unavailable', `Gmail's answer cannot be used: ${what}. Nothing is concluded from it.`);
