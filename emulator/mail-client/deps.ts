/** What the mail client asks of the rest of the emulator. */
import type { Account, Accounts } from '../core/rooms.ts';

/** A key pair of a user: certificates in DER, leaf first, root last. */
export interface HeldKeyPair {
  readonly keyPairId: string;
  readonly enabled: boolean;
  readonly certificates: readonly Buffer[];
  /** Undefined for a key on a smart card. */
  readonly wrapped: { readonly kaclsUri: string; readonly kaclsData: string } | undefined;
}

export interface SignerJudgement {
  readonly problems: readonly string[];
  readonly addresses: readonly string[];
  readonly revocation: 'good' | 'revoked' | 'unknown' | 'not checked';
}

/** Gmail's side of client-side encryption, as its client uses it. */
export interface CseMail {
  /** Why Gmail serves no client-side encryption to the account, as a sentence. */
  refusal(account: Account): string | undefined;
  keyPairs(account: Account): readonly HeldKeyPair[];
  identity(
    account: Account,
    address: string,
  ): { readonly signing: HeldKeyPair; readonly encryption: HeldKeyPair } | undefined;
  publishedCertificate(address: string): Buffer | undefined;
  judgeSigner(
    certificates: readonly Buffer[],
    message: { from: string; arrivedAt: Date },
  ): Promise<SignerJudgement>;
}

/** What the two tokens of a key service call are about. */
export interface CseTokenRequest {
  /** Primary address of the user whose key is used. */
  readonly email: string;
  readonly keyPairId: string;
  readonly role: 'signer' | 'decrypter';
  /** Standard base64 SHA-256 of the leaf's DER SubjectPublicKeyInfo. */
  readonly spkiHashBase64: string;
  readonly kaclsUrl: string;
  /** RFC 5322 Message-ID with its angle brackets. */
  readonly messageId: string;
}

/** Mints the identity provider's token and Google's, for one key service call. */
export type CseTokens = (
  request: CseTokenRequest,
) => Promise<{ readonly authentication: string; readonly authorization: string }>;

export interface MailClientDependencies {
  readonly accounts: Accounts;
  readonly gmail: CseMail;
  readonly cseTokens: CseTokens;
  /** Calls the key service; the place to turn public names into loopback addresses. Node's own unless given. */
  readonly fetch?: typeof globalThis.fetch;
}
