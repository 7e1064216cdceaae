import type { EmulatorContext } from '../core/context.ts';
import type { Accounts } from '../core/rooms.ts';
import type { Problem } from './problem.ts';

/** A deleted account can be brought back for this long, with everything in it. */
const UNDELETE_WINDOW_MS = 20 * 86_400_000;

export interface StoredMetadata {
  readonly privateKeyMetadataId: string;
  readonly kacls?: { readonly uri: string; readonly data: string };
  readonly hardware?: { readonly description: string };
}

export interface StoredKeyPair {
  readonly keyPairId: string;
  /** Grows with each entry of the account; lists and page tokens go by it. */
  readonly sequence: number;
  /** Base64 DER. */
  readonly leaf: string;
  /** Fingerprints of the certificates above the leaf, in order; thousands of users share them. */
  readonly authorities: readonly string[];
  readonly leafSha256: string;
  /** PEM as it was uploaded. Google never gives it back; the emulator shows it to whoever checks an upload. */
  readonly uploadedPkcs7: string;
  readonly subjectEmailAddresses: readonly string[];
  readonly privateKeyMetadata: readonly StoredMetadata[];
  /** What the checks found although the upload skipped them; such a pair is of no use to an identity. */
  readonly problems: readonly Problem[];
  /** Present while disabled. */
  disabledAtMs?: number;
}

export interface StoredIdentity {
  /** Lower case. */
  readonly emailAddress: string;
  readonly sequence: number;
  keys: IdentityKeys;
}

export type IdentityKeys =
  | { readonly kind: 'primary'; readonly keyPairId: string }
  | { readonly kind: 'split'; readonly signingKeyPairId: string; readonly encryptionKeyPairId: string };

export interface StoredAccount {
  deletedAtMs?: number;
  nextSequence: number;
  keyPairs: StoredKeyPair[];
  identities: StoredIdentity[];
}

interface StoredCse {
  readonly accounts: Record<string, StoredAccount>;
  /** CA certificates, base64 DER by fingerprint. */
  readonly authorities: Record<string, string>;
}

/** The key pairs and identities of each account, by the account's immutable id: a rename changes nothing here. */
export class CseStore {
  readonly #context: EmulatorContext;
  readonly #accounts: Record<string, StoredAccount>;
  readonly #authorities: Record<string, string>;

  constructor(context: EmulatorContext, accounts: Accounts) {
    this.#context = context;
    const stored = context.state.section<StoredCse>('gmail', () => ({ accounts: {}, authorities: {} }));
    this.#accounts = stored.accounts;
    this.#authorities = stored.authorities;
    accounts.onChange((change, account) => {
      const held = this.#accounts[account.id];
      if (held === undefined) return;
      if (change === 'delete') held.deletedAtMs = context.clock.nowMs();
      else if (change === 'undelete') delete held.deletedAtMs;
      else return;
      context.state.changed();
    });
    context.clock.onMove(() => this.#forgetDeleted());
    this.#forgetDeleted();
  }

  /** What the account holds; changed in place by the caller, who then calls `changed`. */
  of(accountId: string): StoredAccount {
    this.#accounts[accountId] ??= { nextSequence: 1, keyPairs: [], identities: [] };
    return this.#accounts[accountId];
  }

  /** As `of`, without making room for an account that has nothing. */
  find(accountId: string): StoredAccount | undefined {
    return this.#accounts[accountId];
  }

  /** Keeps CA certificates once for all who share them. */
  keepAuthorities(certificates: readonly { readonly fingerprint: string; readonly der: Buffer }[]): void {
    for (const { fingerprint, der } of certificates) {
      this.#authorities[fingerprint] ??= der.toString('base64');
    }
  }

  /** DER of a key pair's certificates, leaf first, root last. */
  certificatesOf(keyPair: StoredKeyPair): readonly Buffer[] {
    const authorities = keyPair.authorities.map((fingerprint) => this.#authorities[fingerprint] ?? '');
    return [keyPair.leaf, ...authorities].map((base64) => Buffer.from(base64, 'base64'));
  }

  changed(): void {
    this.#context.state.changed();
  }

  #forgetDeleted(): void {
    for (const [id, { deletedAtMs }] of Object.entries(this.#accounts)) {
      if (deletedAtMs === undefined || this.#context.clock.nowMs() - deletedAtMs <= UNDELETE_WINDOW_MS)
        continue;
      delete this.#accounts[id];
      this.changed();
    }
  }
}

/** The key pairs an identity binds, signing first; one id when it is both. */
export const keyPairIdsOf = (keys: IdentityKeys): readonly string[] =>
  keys.kind === 'primary' ? [keys.keyPairId] : [keys.signingKeyPairId, keys.encryptionKeyPairId];
