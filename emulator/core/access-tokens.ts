import { randomBytes } from 'node:crypto';
import type { EmulatorClock } from './clock.ts';
import { GoogleError } from './google-error.ts';
import type { EmulatorState } from './state.ts';

/** Who a bearer access token speaks for. */
export type Caller =
  /** A service account as itself (metadata server, or a key file without `sub`). */
  | { readonly kind: 'service-account'; readonly email: string; readonly scopes: readonly string[] }
  /** A user, through domain-wide delegation to `serviceAccount`. `email` is the `sub` the token was minted with. */
  | {
      readonly kind: 'user';
      readonly email: string;
      readonly scopes: readonly string[];
      readonly serviceAccount: string;
    };

interface StoredToken {
  readonly caller: Caller;
  readonly expiresAtMs: number;
  /** Tokens of the metadata server expire by the machine's own clock, because Google's clients refresh them by it. */
  readonly byRealClock: boolean;
}

const LIFETIME_MS = 3_600_000;

/** Opaque access tokens as Google mints them (`ya29.…`), each for one caller, valid for an hour. */
export class AccessTokens {
  readonly #clock: EmulatorClock;
  readonly #state: EmulatorState;
  readonly #tokens: Record<string, StoredToken>;
  /** No token of that clock expires before: in an hour thousands are minted, and each would look at all of them. */
  readonly #firstExpiryMs = { machine: 0, emulator: 0 };

  constructor(clock: EmulatorClock, state: EmulatorState) {
    this.#clock = clock;
    this.#state = state;
    this.#tokens = state.section('accessTokens', () => ({}));
  }

  mint(
    caller: Caller,
    options: { byRealClock?: boolean; lifetimeMs?: number } = {},
  ): { accessToken: string; expiresInSeconds: number } {
    const { byRealClock = false, lifetimeMs = LIFETIME_MS } = options;
    this.#forgetExpired();
    const accessToken = `ya29.emulator.${randomBytes(24).toString('base64url')}`;
    const expiresAtMs = this.#now(byRealClock) + lifetimeMs;
    const stored = { caller, byRealClock, expiresAtMs };
    this.#tokens[accessToken] = stored;
    this.#expects(stored);
    this.#state.changed();
    return { accessToken, expiresInSeconds: Math.floor(lifetimeMs / 1000) - 1 };
  }

  /** Throws 401 `authError` without a live token, 403 `insufficientPermissions` without one of the scopes. */
  authorize(authorization: string | undefined, scopes: readonly string[]): Caller {
    const caller = this.identify(authorization);
    if (!scopes.some((scope) => caller.scopes.includes(scope))) {
      throw new GoogleError(
        403,
        'insufficientPermissions',
        'Request had insufficient authentication scopes.',
        {
          headers: {
            'www-authenticate': `Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="${scopes.join(' ')}"`,
          },
        },
      );
    }
    return caller;
  }

  identify(authorization: string | undefined): Caller {
    const match = /^Bearer\s+(\S+)$/i.exec(authorization ?? '');
    const token = match?.[1];
    // Own properties only: a token named like something every object has must not pass for one.
    const stored =
      token !== undefined && Object.hasOwn(this.#tokens, token) ? this.#tokens[token] : undefined;
    if (stored === undefined || stored.expiresAtMs <= this.#now(stored.byRealClock)) {
      throw new GoogleError(
        401,
        'authError',
        'Request had invalid authentication credentials. Expected OAuth 2 access token.',
        {
          headers: {
            'www-authenticate': 'Bearer realm="https://accounts.google.com/", error="invalid_token"',
          },
          location: 'Authorization',
          locationType: 'header',
        },
      );
    }
    return stored.caller;
  }

  /** Ends the tokens of these callers now: their next use is answered 401, as after a suspension. */
  revoke(matches: (caller: Caller) => boolean): void {
    for (const [token, stored] of Object.entries(this.#tokens)) {
      if (matches(stored.caller)) delete this.#tokens[token];
    }
    this.#state.changed();
  }

  #now(byRealClock: boolean): number {
    return byRealClock ? Date.now() : this.#clock.nowMs();
  }

  #forgetExpired(): void {
    const first = this.#firstExpiryMs;
    if (this.#now(true) < first.machine && this.#now(false) < first.emulator) return;
    Object.assign(first, { machine: Number.POSITIVE_INFINITY, emulator: Number.POSITIVE_INFINITY });
    for (const [token, stored] of Object.entries(this.#tokens)) {
      if (stored.expiresAtMs <= this.#now(stored.byRealClock)) delete this.#tokens[token];
      else this.#expects(stored);
    }
  }

  #expects({ byRealClock, expiresAtMs }: StoredToken): void {
    const clock = byRealClock ? 'machine' : 'emulator';
    this.#firstExpiryMs[clock] = Math.min(this.#firstExpiryMs[clock], expiresAtMs);
  }
}
