import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import type { EmulatorState } from '../core/state.ts';

/** A signing key: RSA-2048 for RS256. */
export interface SigningKey {
  /** 40 hex digits: SHA-1 of the public key's SPKI, as Google's key ids look. */
  readonly kid: string;
  readonly privateKey: KeyObject;
}

interface StoredKey {
  readonly kid: string;
  /** SPKI PEM. */
  readonly publicKeyPem: string;
  /** PKCS#8 PEM; absent for a key whose private half was handed out in a key file and is not kept. */
  readonly privateKeyPem?: string;
}

const makeKeyPair = promisify(generateKeyPair);

/** The keys of every issuer, by a name of ours. Made when first asked for, off the main thread, and kept in the state. */
export class KeyRings {
  readonly #state: EmulatorState;
  readonly #rings: Record<string, StoredKey[]>;
  readonly #making = new Map<string, Promise<StoredKey>>();
  readonly #parsed = new Map<string, KeyObject>();

  constructor(state: EmulatorState) {
    this.#state = state;
    this.#rings = state.section('identityKeys', () => ({}));
  }

  /** The newest key whose private half is here; makes the first one. */
  async signing(ring: string): Promise<SigningKey> {
    const stored = this.#newest(ring) ?? (await this.#first(ring));
    return { kid: stored.kid, privateKey: this.#private(stored) };
  }

  /** All public keys that verify for this ring; makes the first one when there is none. */
  async published(ring: string): Promise<readonly JsonWebKey[]> {
    if (this.#stored(ring).length === 0) await this.#first(ring);
    return this.#stored(ring).map((stored) => ({
      ...this.#public(stored).export({ format: 'jwk' }),
      alg: 'RS256',
      use: 'sig',
      kid: stored.kid,
    }));
  }

  /** Public keys to verify with: the one of that id, or all of them when a token names none. */
  verifying(ring: string, kid: string | undefined): readonly KeyObject[] {
    return this.#stored(ring)
      .filter((stored) => kid === undefined || stored.kid === kid)
      .map((stored) => this.#public(stored));
  }

  /** Signs with a new key from now on; the old ones stay published. */
  async rotate(ring: string): Promise<void> {
    await this.#add(ring, (stored) => stored);
  }

  /** A new key whose private half is given away and forgotten, as a downloaded service-account key. */
  async handOut(ring: string): Promise<{ kid: string; privateKeyPem: string }> {
    let privateKeyPem = '';
    const { kid } = await this.#add(ring, (stored) => {
      privateKeyPem = stored.privateKeyPem;
      return { kid: stored.kid, publicKeyPem: stored.publicKeyPem };
    });
    return { kid, privateKeyPem };
  }

  #stored(ring: string): readonly StoredKey[] {
    return Object.hasOwn(this.#rings, ring) ? (this.#rings[ring] ?? []) : [];
  }

  #newest(ring: string): StoredKey | undefined {
    return this.#stored(ring).findLast((stored) => stored.privateKeyPem !== undefined);
  }

  /** Callers that ask at the same time get the same first key. */
  #first(ring: string): Promise<StoredKey> {
    const underWay = this.#making.get(ring);
    if (underWay !== undefined) return underWay;
    const making = this.#add(ring, (stored) => stored).finally(() => this.#making.delete(ring));
    this.#making.set(ring, making);
    return making;
  }

  async #add(ring: string, keep: (made: Required<StoredKey>) => StoredKey): Promise<StoredKey> {
    const { publicKey, privateKey } = await makeKeyPair('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const spki = createPublicKey(publicKey).export({ type: 'spki', format: 'der' });
    const kid = createHash('sha1').update(spki).digest('hex');
    const stored = keep({ kid, publicKeyPem: publicKey, privateKeyPem: privateKey });
    this.#rings[ring] = [...this.#stored(ring), stored];
    this.#state.changed();
    return stored;
  }

  #private(stored: StoredKey): KeyObject {
    return this.#parse(`private ${stored.kid}`, () => createPrivateKey(stored.privateKeyPem ?? ''));
  }

  #public(stored: StoredKey): KeyObject {
    return this.#parse(`public ${stored.kid}`, () => createPublicKey(stored.publicKeyPem));
  }

  #parse(name: string, parse: () => KeyObject): KeyObject {
    const known = this.#parsed.get(name);
    if (known !== undefined) return known;
    const key = parse();
    this.#parsed.set(name, key);
    return key;
  }
}

/** Names of rings, so that no issuer can be mistaken for another. */
export const ring = {
  issuer: (issuer: string) => `issuer ${issuer}`,
  /** Google's key for tokens whose holder lives by the machine's clock (see times.ts). */
  machineClock: (issuer: string) => `issuer ${issuer} machine-clock`,
  /** The key Google keeps for a service account; `signJwt` uses it. */
  system: (email: string) => `service-account ${email}`,
  /** Keys downloaded as files. */
  user: (email: string) => `service-account ${email} key-files`,
};
