/** Opening the ledger, bucket and keys that the commands about the CA act on, from the environment. */
import { activate } from '../../shared/authority/activate.ts';
import type { AuthorityDeps } from '../../shared/authority/deps.ts';
import type { HealthDeps } from '../../shared/authority/health.ts';
import { parseSettings, type Settings } from '../../shared/config/settings.ts';
import type { IssuerRecord } from '../../shared/domain/records.ts';
import { isSealwrightError } from '../../shared/errors.ts';
import type { Call } from '../command.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import type { PromptStreams } from './passphrase-source.ts';

export interface AuthorityAccess extends AuthorityDeps, Pick<HealthDeps, 'secretState'> {}

export interface CaSurroundings {
  /** Opens the adapters; by default from the settings, with Application Default Credentials. */
  readonly open?: (settings: Settings, options: { migrate: boolean }) => Promise<AuthorityAccess>;
  /** By default the terminal of this process. */
  readonly prompt?: PromptStreams;
  /** How long to wait for a new issuer's first CRL, and how often to look. */
  readonly waitMs?: number;
  readonly pollMs?: number;
}

const NEEDED = {
  SEALWRIGHT_PROJECT: 'the Google Cloud project id',
  SEALWRIGHT_DATABASE_URL: 'the address of the ledger, postgres://…',
  SEALWRIGHT_BUCKET: 'the bucket behind the public address',
} as const;

export const ENVIRONMENT_NOTE =
  'In the environment: SEALWRIGHT_PROJECT, SEALWRIGHT_DATABASE_URL, SEALWRIGHT_BUCKET. It acts with Application Default Credentials, as "ca init" does.';

/** Throws `UsageError` naming every setting that is missing. */
export function projectOf(call: Pick<Call, 'environment'>): string {
  const absent = Object.entries(NEEDED).filter(([name]) => (call.environment[name] ?? '') === '');
  if (absent.length > 0) {
    const list = absent.map(([name, what]) => `${name} (${what})`).join(', ');
    throw new UsageError(`Missing in the environment: ${list}.`);
  }
  return call.environment['SEALWRIGHT_PROJECT'] ?? '';
}

/** Opens, does the work, closes. `migrate`: a new ledger gets its tables. */
export async function withAuthority<T>(
  call: Call,
  surroundings: CaSurroundings,
  work: (deps: AuthorityAccess) => Promise<T>,
  { migrate = false } = {},
): Promise<T> {
  projectOf(call);
  const settings = parseSettings({ SEALWRIGHT_CREDENTIALS: 'application-default', ...call.environment });
  const deps = await withProgress(
    call.terminal,
    () => 'opening the ledger',
    () => (surroundings.open ?? openFromSettings)(settings, { migrate }),
  );
  try {
    return await work(deps);
  } finally {
    await deps.ledger.close();
  }
}

/** Loaded only here: Google's clients take a second that no other command should pay for. */
async function openFromSettings(settings: Settings, options: { migrate: boolean }): Promise<AuthorityAccess> {
  const { composeSetUp } = await import('../../functions/compose/set-up.ts');
  return await composeSetUp(settings, {}, options);
}

export interface Activation {
  readonly state: 'active' | 'prepared';
  /** The issuer that goes on only signing CRLs. */
  readonly retiring?: string;
  /** Why it does not issue yet. */
  readonly reason?: string;
}

const LOOKS_UNTIL_ASKED_AGAIN = 2;

/**
 * Lets a prepared issuer take over: at once where there is none before it, else when its first CRL is public and its addresses
 * were found right. Answers `prepared` when that takes longer than the command waits.
 */
export async function takeOver(
  call: Pick<Call, 'terminal'>,
  deps: AuthorityAccess,
  issuer: IssuerRecord,
  { waitMs = 150_000, pollMs = 2_000 }: CaSurroundings,
): Promise<Activation> {
  if ((await deps.ledger.activeIssuer()) === undefined) {
    await deps.ledger.activateIssuer(issuer.issuerId);
    return { state: 'active' };
  }
  const giveUpAt = performance.now() + waitMs;
  let reason = '';
  return await withProgress(
    call.terminal,
    () => `waiting until the CRL and the addresses of issuer ${issuer.issuerId} are public`,
    async () => {
      for (let look = 1; ; look += 1) {
        try {
          return { state: 'active', ...(await activate(deps, issuer.issuerId)) };
        } catch (error) {
          if (!isSealwrightError(error) || error.code !== 'issuer-not-ready') throw error;
          reason = error.message;
        }
        if (performance.now() >= giveUpAt) return { state: 'prepared', reason };
        // An address that was fetched too early (a responder keeps its list of issuers for a second or more) is fetched again.
        if (look % LOOKS_UNTIL_ASKED_AGAIN === 0) await deps.bus.requestCrl(issuer.issuerId);
        await new Promise((resolve) => setTimeout(resolve, pollMs));
      }
    },
  );
}
