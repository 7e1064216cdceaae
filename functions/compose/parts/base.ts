/**
 * `functions/compose/` builds the adapters, once per instance, from settings: a file for each function, for the key
 * service as a process of its own and for what the command line asks; in `parts/` what several of them share. The only
 * folder that knows which adapter stands behind which port. Each function gets what it needs and nothing else: only `sign`
 * gets the CA keys, only `directory-event` gets Gmail, only `key-service` gets key-encryption keys.
 *
 * This file: what every function has.
 */
import { offsetClock } from '../../../shared/adapters/clock/offset-clock.ts';
import { systemClock } from '../../../shared/adapters/clock/system-clock.ts';
import { googleEndpoints } from '../../../shared/adapters/google/endpoints.ts';
import { googleIdTokenVerifier } from '../../../shared/adapters/google/id-token-verifier.ts';
import { ownIdentity } from '../../../shared/adapters/google/own-identity.ts';
import { retrySettings } from '../../../shared/adapters/google/retry.ts';
import { jsonLog } from '../../../shared/adapters/log.ts';
import type { Settings } from '../../../shared/config/settings.ts';
import type { GenerateKey } from '../../../shared/pki/key.ts';
import type { Ledger } from '../../../shared/ports/ledger.ts';

/** What an instance may be given instead of opening or making it itself. */
export interface Given {
  /** The embedded one has one process only. */
  readonly ledger?: Ledger;
  /** Of users' keys: campaigns have no minutes to spend on primes. */
  readonly generateKey?: GenerateKey;
}

/** What every function has: a clock, a log, its own identity, a verifier for callers' tokens. */
export function composeBase(settings: Settings) {
  const clock =
    settings.SEALWRIGHT_CLOCK_OFFSET_FILE === undefined
      ? systemClock
      : offsetClock(settings.SEALWRIGHT_CLOCK_OFFSET_FILE);
  const endpoints = googleEndpoints(settings.SEALWRIGHT_GOOGLE_ROOT_URL);
  const own = ownIdentity({
    clock,
    source: settings.SEALWRIGHT_CREDENTIALS,
    ...(settings.SEALWRIGHT_SERVICE_ACCOUNT === undefined
      ? {}
      : { serviceAccountEmail: settings.SEALWRIGHT_SERVICE_ACCOUNT }),
  });
  return {
    clock,
    endpoints,
    own,
    log: jsonLog(),
    retry: retrySettings(clock),
    idTokens: googleIdTokenVerifier(endpoints, clock),
  };
}

export type Base = ReturnType<typeof composeBase>;
