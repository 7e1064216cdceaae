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

  constructor(clock: EmulatorClock, state: EmulatorState) {
    this.#clock = clock;
    this.#state = state;
    this.#tokens = state.section('accessTokens', () => ({}));
  }

  mint(
    caller: Caller,
    options: { byRealClock?: boolean } = {},
  ): { accessToken: string; expiresInSeconds: number } {
    const byRealClock = options.byRealClock ?? false;
    this.#forgetExpired();
    const accessToken = `ya29.emulator.${randomBytes(24).toString('base64url')}`;
    this.#tokens[accessToken] = { caller, byRealClock, expiresAtMs: this.#now(byRealClock) + LIFETIME_MS };
    this.#state.changed();
    return { accessToken, expiresInSeconds: LIFETIME_MS / 1000 - 1 };
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
    const stored = match?.[1] === undefined ? undefined : this.#tokens[match[1]];
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

  #now(byRealClock: boolean): number {
    return byRealClock ? Date.now() : this.#clock.nowMs();
  }

  #forgetExpired(): void {
    for (const [token, stored] of Object.entries(this.#tokens)) {
      if (stored.expiresAtMs <= this.#now(stored.byRealClock)) delete this.#tokens[token];
    }
  }
}
