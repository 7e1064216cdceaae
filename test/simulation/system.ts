/**
 * The product in one process: the real handlers over fakes of everything that is Google's, a ledger in memory, and
 * between each handler and each of its ports a gate and a chance of a fault.
 */
import { createDirectoryEvent } from '../../functions/directory-event.ts';
import { createDue } from '../../functions/due.ts';
import { createPublishCrl } from '../../functions/publish-crl.ts';
import { createSign } from '../../functions/sign.ts';
import { createSweep } from '../../functions/sweep.ts';
import type { HttpHandler } from '../../functions/wire/http.ts';
import type { CaKeys } from '../../shared/authority/ca-keys.ts';
import type { Hint } from '../../shared/domain/hint.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import { isSealwrightError, retryable } from '../../shared/errors.ts';
import { type Parts, whole } from '../../shared/pki/crl-parts.ts';
import { signableParts } from '../../shared/pki/signable.ts';
import type { Signer } from '../../shared/pki/signer.ts';
import type { Bus } from '../../shared/ports/bus.ts';
import type { Signing } from '../../shared/ports/signing.ts';
import { seededRandom } from '../pki/sample-authority.ts';
import { type Around, type PortCall, surround } from '../support/fakes/calls.ts';
import type { Rows } from '../support/fakes/ledger/rows.ts';
import type { World } from '../support/fakes/world.ts';
import { BEHIND_IAM, call } from '../support/invocation.ts';
import { inForce } from '../support/policy.ts';
import { drawFault, truncated } from './faults.ts';
import { assertForeseen, assertNoPlainKey } from './invariants.ts';
import type { Dice } from './random.ts';
import type { Scheduler, Worker } from './scheduler.ts';

const LEASE_MS = 60_000;

export interface Settings {
  readonly random: Dice;
  readonly scheduler: Scheduler;
  readonly rows: () => Rows;
  /** How often a call fails, in percent. */
  readonly faultPercent: number;
  readonly holdsPlainKey: (value: unknown) => boolean;
  /** Stands right before each port. */
  readonly broken: Around;
  /** Where hints and requests for a CRL go. */
  readonly bus: Bus;
  readonly policy: () => Policy;
  /** So much time passes while somebody waits in vain. */
  readonly pass: (waitMs: number) => void;
}

export type Functions = Readonly<
  Record<'directoryEvent' | 'due' | 'sweep' | 'publishCrl' | 'sign', HttpHandler>
>;

/** The functions as one worker runs them. */
export type MakeFunctions = (worker: Worker) => Functions;

export function system(world: World, settings: Settings): MakeFunctions {
  const caKeys = witnessed(world.caKeys, settings.rows);
  const random = seededRandom(`serials ${settings.random.fraction()}`);
  return (worker) => {
    const through = <T extends object>(port: string, target: T): T =>
      surround(port, target, (call, perform) =>
        atGate(settings, worker, call, () => settings.broken(call, perform)),
      );
    const ledger = through('ledger', world.ledger);
    const directory = through('directory', world.directory);
    const bus = through('bus', settings.bus);
    const sign = createSign({
      ...{ clock: world.clock, ledger, serviceKeys: world.serviceKeys },
      // A signer is one look into Secret Manager.
      caKeys: through('secrets', caKeys),
      ...{ ...BEHIND_IAM, log: world.log },
    });
    const signing = through('signing', inProcess(sign, world.signing));
    const { clock, log } = world;
    const policies = { current: () => inForce(settings.policy()).current() };
    const common = { clock, ledger, log, ...BEHIND_IAM };
    const readiness = { ...world.readinessDeps, ledger };
    return {
      sign,
      directoryEvent: createDirectoryEvent({
        ...{ ...common, directory, bus, signing, policies, random, leaseMs: LEASE_MS },
        gmail: through('gmail', world.gmail),
        keyService: through('keyService', world.keyService),
        keyRewrapping: world.deps.keyRewrapping,
        generateKey: (modulusBits) => settings.scheduler.outside(world.pool.generateKey(modulusBits)),
      }),
      due: createDue({
        ...{ ...common, bus, hintsPerMinute: 100 },
        channels: {
          ...{ clock, directory, ledger, log, receiverUrl: 'https://watch.acme.example/' },
          ...{ randomBytes: seededRandom('channel'), randomId: () => `channel-${clock.now().getTime()}` },
        },
      }),
      sweep: createSweep({
        ...{ ...common, directory, bus, policies, elapsedMs: () => 0, intervalMs: 6 * 3_600_000 },
        ...{ budgetMs: 1, lookByAgeMs: 7 * 86_400_000, hintsPerMinute: 100 },
      }),
      publishCrl: createPublishCrl({
        ...{ ...common, signing, readiness, bucket: through('bucket', world.bucket), leaseMs: LEASE_MS },
      }),
    };
  };
}

async function atGate(
  { random, scheduler, faultPercent, holdsPlainKey, pass }: Settings,
  worker: Worker,
  call: PortCall,
  perform: () => Promise<unknown>,
): Promise<unknown> {
  const what = `${call.port}.${call.method}`;
  if (call.port !== 'keyService') assertNoPlainKey(holdsPlainKey, what, call.args);
  await scheduler.pass(worker, what);
  const fault = scheduler.isCalm ? undefined : drawFault(random, call, faultPercent);
  if (fault?.moment === 'before') {
    scheduler.note(`${worker.name} ${what} fails: ${fault.error.code}${inVain(fault.waitMs)}`);
    pass(fault.waitMs);
    throw fault.error;
  }
  const answer = await perform();
  await scheduler.pass(worker, `${what} answered`);
  if (fault?.moment === 'page') {
    scheduler.note(`${worker.name} ${what} is truncated`);
    return truncated(random, answer as Parameters<typeof truncated>[1]);
  }
  if (fault?.moment === 'after') {
    scheduler.note(`${worker.name} ${what} loses its answer: ${fault.error.code}${inVain(fault.waitMs)}`);
    pass(fault.waitMs);
    throw fault.error;
  }
  return answer;
}

const inVain = (waitMs: number): string => (waitMs === 0 ? '' : ` after ${waitMs / 1000} s in vain`);

export const hintMessage = (hint: Hint): object => ({ version: 1, ...hint });

/** `sign` as its callers see it; what it cannot do now is `signing-unavailable` to them, as over HTTP. */
function inProcess(sign: HttpHandler, rest: Signing): Signing {
  const ask = async (path: string, body: object, field: string): Promise<Uint8Array> => {
    try {
      const answer = await call(sign, path, body);
      const { [field]: base64 = '' } = answer.body as Record<string, string>;
      return new Uint8Array(Buffer.from(base64, 'base64'));
    } catch (error) {
      if (isSealwrightError(error) && error.kind === 'retryable')
        throw retryable('signing-unavailable', `sign cannot sign now: ${error.message}`);
      throw error;
    }
  };
  return {
    ...rest,
    signLeaf: (serialHex) => ask('/v1/leaf', { serialHex }, 'leaf'),
    signCrl: async (issuerId, crlNumber) => {
      await ask('/v1/crl', { issuerId, crlNumber: String(crlNumber) }, 'crl');
    },
  };
}

/** Signs nothing that is not foreseen, and at once: a thread pool would make the order of things a matter of chance. */
function witnessed(caKeys: CaKeys, rows: () => Rows): CaKeys {
  return {
    signerOf: async (issuer): Promise<Signer> => {
      const signer = await caKeys.signerOf(issuer);
      const { signParts } = signer;
      if (signParts === undefined) throw new Error('A key in memory signs in parts.');
      const sign = async (parts: Parts) => {
        const bytes = await whole(parts);
        assertForeseen(rows(), bytes);
        return await signParts(signableParts([bytes]));
      };
      return { ...signer, signParts: sign, sign: (bytes) => sign([bytes]) };
    },
  };
}
