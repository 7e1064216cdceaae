/**
 * The address feed: who has or had which address, for a key service that has no ledger. One signed text, a compact JWS
 * (RFC 7515) with EdDSA (Ed25519) or ES256 over
 *
 * ```json
 * {"aud":"address-feed:TENANT","iat":1796000000,"people":[["USER ID",["ana@acme.example","…"]],…]}
 * ```
 *
 * The signature says that the customer's own job made it, whoever carries it. It says nothing about who may sign or decrypt:
 * that needs the two tokens as always. What the feed can do is name owners of addresses, so its key is as precious as
 * write access to the ledger (docs/security.md).
 *
 * Feeds only add. An address that a later one leaves out stays known, because mail of its time must open for ever.
 */
import type { KeyObject } from 'node:crypto';
import { CompactSign, compactVerify } from 'jose';
import { invalidInput, permanent } from '../errors.ts';
import { lowerCaseAscii } from './addresses.ts';

/** Every address of each user, present and former. */
export type AddressHistoryEntries = readonly (readonly [userId: string, addresses: readonly string[]])[];

export interface VerifiedFeed {
  readonly issuedAt: Date;
  readonly people: AddressHistoryEntries;
}

const audienceOf = (tenantId: string): string => `address-feed:${tenantId}`;

/** Throws `settings-invalid` (permanent) for a key that is neither Ed25519 nor EC P-256. */
function algorithmOf(key: KeyObject): 'EdDSA' | 'ES256' {
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA';
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256';
  throw permanent('settings-invalid', 'The key of the address feed must be Ed25519 or EC P-256.');
}

/** Answers the feed as one line of text. */
export async function signAddressFeed(
  people: AddressHistoryEntries,
  under: { readonly tenantId: string; readonly key: KeyObject; readonly now: Date },
): Promise<string> {
  const payload = { aud: audienceOf(under.tenantId), iat: Math.floor(under.now.getTime() / 1000), people };
  return await new CompactSign(Buffer.from(JSON.stringify(payload)))
    .setProtectedHeader({ alg: algorithmOf(under.key), typ: 'sealwright-address-feed' })
    .sign(under.key);
}

/** How far the clock of whoever signs may be ahead. */
const SKEW_MS = 5 * 60_000;

/**
 * Verifies a feed with any one of the keys. Throws `forbidden` (permanent) for a signature that none of them holds for, a feed
 * of another tenant, or one from the future; `malformed-request` (invalid input) for what is no feed.
 */
export async function verifyAddressFeed(
  text: string,
  under: { readonly tenantId: string; readonly keys: readonly KeyObject[]; readonly now: Date },
): Promise<VerifiedFeed> {
  const payload = await verifiedPayload(text.trim(), under.keys);
  const { aud, iat, people } = parse(payload);
  if (aud !== audienceOf(under.tenantId)) throw refused('it is for another tenant or another purpose');
  if (typeof iat !== 'number') throw malformed('"iat" is no number');
  if (iat * 1000 > under.now.getTime() + SKEW_MS) throw refused('it is from the future; compare the clocks');
  if (!Array.isArray(people)) throw malformed('"people" is no list');
  return { issuedAt: new Date(iat * 1000), people: people.map(personOf) };
}

async function verifiedPayload(text: string, keys: readonly KeyObject[]): Promise<Uint8Array> {
  for (const key of keys) {
    try {
      const { payload } = await compactVerify(text, key, { algorithms: [algorithmOf(key)] });
      return payload;
    } catch {
      // Another key may hold; when none does, that is all there is to say.
    }
  }
  throw refused('its signature does not hold under any key that is configured');
}

function parse(payload: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
    if (value !== null && typeof value === 'object') return value as Record<string, unknown>;
  } catch {
    // Said below, in words of ours.
  }
  throw malformed('it is no JSON object');
}

function personOf(person: unknown): readonly [string, readonly string[]] {
  const [userId, addresses] = Array.isArray(person) ? (person as unknown[]) : [];
  const fits =
    typeof userId === 'string' &&
    /^[\x21-\x7e]{1,64}$/.test(userId) &&
    Array.isArray(addresses) &&
    addresses.every((address) => typeof address === 'string' && address.includes('@'));
  if (!fits) throw malformed('an entry of "people" is no user id with a list of addresses');
  return [userId, (addresses as string[]).map(lowerCaseAscii)];
}

const refused = (why: string) => permanent('forbidden', `The address feed is not taken: ${why}.`);
const malformed = (why: string) =>
  invalidInput('malformed-request', `The address feed cannot be read: ${why}.`);
