import { GoogleError } from '../core/google-error.ts';
import { GOOGLE_ISSUER } from '../core/outbound-request.ts';
import type { IdTokens } from '../core/rooms.ts';
import { isSignedBy, keyIdOf, parseJws, signText } from './jws.ts';
import { type KeyRings, ring, type SigningKey } from './key-rings.ts';
import type { ServiceAccounts } from './service-accounts.ts';
import type { Clock, Clocks } from './times.ts';

/** Issuers of Google's client-side-encryption authorization tokens; their keys are at `/service_accounts/v1/jwk/`. */
export const CSE_ISSUERS = {
  gmail: 'gsuitecse-tokenissuer-gmail@system.gserviceaccount.com',
  gmailSendToAnyone: 'gsuitecse-tokenissuer-gmail-sta@system.gserviceaccount.com',
  drive: 'gsuitecse-tokenissuer-drive@system.gserviceaccount.com',
  meet: 'gsuitecse-tokenissuer-meet@system.gserviceaccount.com',
  calendar: 'gsuitecse-tokenissuer-calendar@system.gserviceaccount.com',
  migration: 'apps-security-cse-kaclscommunication@system.gserviceaccount.com',
} as const;

const SYSTEM_ISSUERS: readonly string[] = Object.values(CSE_ISSUERS);
const LIFETIME_SECONDS = 3600;
const MOST_VERIFIED = 1_000;

/** Signs and verifies tokens of every issuer the emulator stands in for. */
export class TokenIssuers implements IdTokens {
  readonly #keys: KeyRings;
  readonly #clocks: Clocks;
  readonly #serviceAccounts: ServiceAccounts;
  readonly #identityProvider: string;
  /** Tokens by key and payload, of one second: RS256 signs the same bytes the same way, and a night of pushes says the same. */
  readonly #minted = new Map<string, Promise<string>>();
  #mintedIn = Number.NaN;
  /** By whose key a token was found signed: neither ever changes, and a caller sends the same one for an hour. */
  readonly #verified = new Map<string, Clock>();

  constructor(parts: {
    keys: KeyRings;
    clocks: Clocks;
    serviceAccounts: ServiceAccounts;
    identityProvider: string;
  }) {
    this.#keys = parts.keys;
    this.#clocks = parts.clocks;
    this.#serviceAccounts = parts.serviceAccounts;
    this.#identityProvider = parts.identityProvider;
  }

  /**
   * Issuers: Google, the company's identity provider, the CSE token issuers, and any service account of the project.
   * Throws RangeError for another. Tokens of Google may live by the machine's clock (metadata server); a key of
   * their own marks them, so that they need no claim that real tokens do not have.
   */
  async mint(
    issuer: string,
    claims: Readonly<Record<string, unknown>>,
    options: { readonly clock?: Clock } = {},
  ): Promise<string> {
    const { clock = 'emulator' } = options;
    const iat = this.#clocks.seconds(clock);
    const payload = { iss: issuer, iat, exp: iat + LIFETIME_SECONDS, ...claims };
    const key = await this.#keys.signing(this.#signingRing(issuer, clock));
    return await this.#signed(
      SYSTEM_ISSUERS.includes(issuer) ? escaped(payload) : JSON.stringify(payload),
      key,
      iat,
    );
  }

  #signed(payload: string, key: SigningKey, second: number): Promise<string> {
    if (second !== this.#mintedIn) this.#minted.clear();
    this.#mintedIn = second;
    const name = `${key.kid} ${payload}`;
    const token = this.#minted.get(name) ?? signText(payload, key);
    this.#minted.set(name, token);
    return token;
  }

  async verifyGoogle(token: string, audience: string): Promise<Readonly<Record<string, unknown>>> {
    const jws = parseJws(token);
    const kid = jws === undefined ? undefined : keyIdOf(jws);
    if (jws === undefined || kid === undefined) throw unauthenticated('It is no signed JWT with a key id.');
    const clock =
      this.#verified.get(token) ??
      (['emulator', 'machine'] as const).find((candidate) =>
        isSignedBy(jws, this.#keys.verifying(this.#signingRing(GOOGLE_ISSUER, candidate), kid)),
      );
    if (clock === undefined) throw unauthenticated('Its signature is not of a published Google key.');
    if (this.#verified.size >= MOST_VERIFIED) this.#verified.clear();
    this.#verified.set(token, clock);
    const { iss, aud, iat, exp } = jws.claims;
    if (iss !== GOOGLE_ISSUER) throw unauthenticated('Its issuer is not Google.');
    if (aud !== audience) throw unauthenticated('Its audience is another service.');
    if (typeof iat !== 'number' || typeof exp !== 'number' || !this.#clocks.holds({ iat, exp }, clock)) {
      throw unauthenticated('It is expired or not valid yet.');
    }
    return jws.claims;
  }

  /** Public keys of an issuer as a JWK set; undefined when nobody has that name. */
  async keySet(issuer: string): Promise<{ readonly keys: readonly unknown[] } | undefined> {
    if (!this.#isKnown(issuer)) return undefined;
    const rings =
      issuer === GOOGLE_ISSUER
        ? [ring.issuer(issuer), ring.machineClock(issuer)]
        : [this.#signingRing(issuer, 'emulator')];
    const keys = await Promise.all(rings.map((name) => this.#keys.published(name)));
    const account = this.#serviceAccounts.find(issuer);
    const handedOut = account === undefined ? [] : this.#handedOutKeys(account.email);
    return { keys: [...keys.flat(), ...(await handedOut)] };
  }

  /** The issuer signs with a new key from now on; earlier keys stay published. */
  async rotateKeys(issuer: string): Promise<void> {
    await this.#keys.rotate(this.#signingRing(issuer, 'emulator'));
  }

  async #handedOutKeys(email: string): Promise<readonly unknown[]> {
    const name = ring.user(email);
    return this.#keys.verifying(name, undefined).length === 0 ? [] : this.#keys.published(name);
  }

  #isKnown(issuer: string): boolean {
    return (
      issuer === GOOGLE_ISSUER ||
      issuer === this.#identityProvider ||
      SYSTEM_ISSUERS.includes(issuer) ||
      this.#serviceAccounts.find(issuer)?.email === issuer
    );
  }

  #signingRing(issuer: string, clock: Clock): string {
    if (!this.#isKnown(issuer)) {
      throw new RangeError(`The emulator stands in for no token issuer named "${issuer}".`);
    }
    if (this.#serviceAccounts.find(issuer) !== undefined) return ring.system(issuer);
    return issuer === GOOGLE_ISSUER && clock === 'machine' ? ring.machineClock(issuer) : ring.issuer(issuer);
  }
}

/** Real CSE tokens escape these characters inside their JSON; whoever compares strings instead of parsing must fail here too. */
function escaped(payload: unknown): string {
  return JSON.stringify(payload).replace(
    /[=<>&]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function unauthenticated(why: string): GoogleError {
  return new GoogleError(401, 'authError', `The ID token could not be verified. ${why}`, {
    headers: {
      'www-authenticate':
        'Bearer error="invalid_token" error_description="The access token could not be verified"',
    },
  });
}
