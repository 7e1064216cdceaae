/** What every adapter test needs: a clock that stands still until told, and retries that do not really wait. */
import { GoogleAuth, OAuth2Client } from 'google-auth-library';
import type { Bearer } from '../../shared/adapters/google/call.ts';
import type { OwnIdentity } from '../../shared/adapters/google/own-identity.ts';
import { type RetrySettings, retrySettings } from '../../shared/adapters/google/retry.ts';
import { isSealwrightError, type SealwrightError } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports/clock.ts';

export class TestClock implements Clock {
  ms: number;
  constructor(start = '2027-01-15T09:00:00Z') {
    this.ms = Date.parse(start);
  }
  now(): Date {
    return new Date(this.ms);
  }
}

export interface TestRetry {
  readonly clock: TestClock;
  readonly settings: RetrySettings;
  /** The waits that would have been, in milliseconds. */
  readonly waits: number[];
}

/** Waiting moves the clock instead of the afternoon. */
export function testRetry(changes: Partial<RetrySettings> = {}, clock = new TestClock()): TestRetry {
  const waits: number[] = [];
  const settings = retrySettings(clock, {
    random: () => 0.5,
    sleep: async (milliseconds) => {
      waits.push(milliseconds);
      clock.ms += milliseconds;
    },
    ...changes,
  });
  return { clock, settings, waits };
}

/** Tokens `token-1`, `token-2`, …: a new one after each that was forgotten. */
export class TestBearer implements Bearer {
  #number = 1;
  readonly forgotten: string[] = [];
  async accessToken(): Promise<string> {
    return `token-${this.#number}`;
  }
  forget(accessToken: string): void {
    this.forgotten.push(accessToken);
    this.#number += 1;
  }
}

/** An own identity with a fixed token, for the clients that bring their own HTTP. */
export function testIdentity(): OwnIdentity {
  const client = new OAuth2Client();
  client.setCredentials({ access_token: 'own-token' });
  return {
    auth: new GoogleAuth({ authClient: client as never }),
    accessToken: async () => 'own-token',
    forget: () => undefined,
    fetchIdToken: async () => 'own-id-token',
  };
}

/** The SealwrightError that a call fails with; anything else fails the test. */
export async function failureOf(call: Promise<unknown>): Promise<SealwrightError> {
  try {
    await call;
  } catch (error) {
    if (isSealwrightError(error)) return error;
    throw error;
  }
  throw new Error('The call succeeded where it should have failed.');
}
