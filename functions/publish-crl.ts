/** Schedule, and soon after each revocation → publish the CRL. Signs through `sign`. */
import { type CheckpointDeps, keepCheckpoints } from '../shared/authority/checkpoint.ts';
import type { HealthDeps } from '../shared/authority/health.ts';
import { currentSigner, isOcspCurrent } from '../shared/authority/pre-sign.ts';
import { isCurrent, type PublishCrlDeps, publishCrl } from '../shared/authority/publish-crl.ts';
import {
  type PublishOcspDeps,
  publishRevoked,
  refreshOcsp,
  type Time,
} from '../shared/authority/publish-ocsp.ts';
import { checkAddresses, type ReadinessDeps } from '../shared/authority/readiness.ts';
import { upkeep } from '../shared/authority/upkeep.ts';
import { unverified } from '../shared/domain/issuer-address.ts';
import type { IssuerRecord } from '../shared/domain/records.ts';
import { invalidInput, isSealwrightError, type SealwrightError } from '../shared/errors.ts';
import { addressesOf } from '../shared/pki/issuer-addresses.ts';
import type { IdTokenVerifier } from '../shared/ports/id-tokens.ts';
import { authenticateCaller, type CallerRule } from './wire/caller.ts';
import { type HttpAnswer, type HttpHandler, parseJsonObject } from './wire/http.ts';
import { parseMessageJson, parsePushEnvelope } from './wire/push-envelope.ts';

export interface PublishCrlFunctionDeps
  extends PublishCrlDeps,
    Pick<HealthDeps, 'signingKeys' | 'secretState' | 'secrets'> {
  /** Absent where no OCSP answers are signed. */
  readonly ocsp?: PublishOcspDeps;
  /** Absent where the audit trail gets no checkpoints. */
  readonly checkpoints?: CheckpointDeps;
  readonly readiness: ReadinessDeps;
  /** Milliseconds on a clock that only goes forward. Default `performance.now`. */
  readonly elapsedMs?: () => number;
  readonly callers: CallerRule;
  readonly idTokens: IdTokenVerifier;
}

/**
 * OCSP answers are made anew until this long after a run began; the rest is left to the next, which `due` asks for while there is
 * any. The function ends at 300 s (terraform/functions.tf), and a batch takes about a second. A message is in a hurry: there are
 * two instances, and the next revocation wants one.
 */
export const REFRESH_UNTIL_MS = { scheduled: 200_000, asked: 20_000 } as const;

/**
 * A Pub/Sub push naming an issuer publishes that one, unless what is public says everything already; an empty body (the
 * schedule) publishes every living issuer's. First whatever a revocation waits for, of all issuers; then the CA's upkeep beside the
 * audit trail's checkpoint; and last, for as long as there is time, the OCSP answers that are only old. CRL, OCSP answers and the look
 * at the public addresses each go on when another failed, and one issuer that fails does not keep the others' from going out. No CRL
 * waits for the answers of the issuer before; the CRLs go out one after the other, since each may have a million entries. What
 * another run is at just now the schedule leaves to that run: should it fail, `due` or the message behind it asks again. A message
 * comes again itself, because that run may have read the list before the revocation that the message is about.
 */
export function createPublishCrl(deps: PublishCrlFunctionDeps): HttpHandler {
  const { elapsedMs = () => performance.now() } = deps;
  return async (call) => {
    await authenticateCaller(call.headers, deps.callers, deps.idTokens);
    const request = understand(deps, call.body);
    if (request === undefined) return { status: 204 };
    const isAsked = request.issuerId !== undefined;
    const endMs = elapsedMs() + REFRESH_UNTIL_MS[isAsked ? 'asked' : 'scheduled'];
    const time = { elapsedMs, hasTime: () => elapsedMs() < endMs };
    const published: object[] = [];
    const { attempting, failures, underWay } = attempts(deps, request);
    const answered: Promise<void>[] = [];
    const old: IssuerRecord[] = [];
    for (const issuer of await issuersToPublish(deps, request)) {
      const attempt = attempting(issuer.issuerId);
      await attempt('crl-not-published', async () => {
        if (isAsked && (await isCurrent(deps, issuer.issuerId))) return;
        const { crlNumber, entries } = await publishCrl(deps, issuer, request);
        published.push({ issuerId: issuer.issuerId, crlNumber: String(crlNumber), entries });
      });
      answered.push(
        attempt('ocsp-not-published', async () => {
          if (await answering(deps, issuer, publishRevoked, time)) old.push(issuer);
        }).then(() => attempt('addresses-not-checked', () => lookAtAddresses(deps, issuer, isAsked))),
      );
    }
    await Promise.all(answered);
    // A message about one issuer is in a hurry; the schedule has the time.
    if (!isAsked) {
      await Promise.all([
        attempting()('upkeep-failed', () => upkeep(deps)),
        attempting()('audit-checkpoint-failed', async () => {
          if (deps.checkpoints !== undefined) await keepCheckpoints(deps.checkpoints);
        }),
      ]);
    }
    for (const issuer of old) {
      await attempting(issuer.issuerId)('ocsp-not-published', async () => {
        await answering(deps, issuer, refreshOcsp, time);
      });
    }
    if (failures.length > 0) throw failures[0];
    const [other] = underWay;
    if (other !== undefined && isAsked) return comeAgain(other);
    return { status: 200, body: { published } };
  };
}

/** Work of one run that goes on where a piece of it fails. An error in the log wakes somebody up, so what others do is none. */
function attempts({ log }: Pick<PublishCrlFunctionDeps, 'log'>, { eventId }: PublishRequest) {
  const failures: unknown[] = [];
  const underWay: SealwrightError[] = [];
  const attempting = (issuerId?: string) => async (what: string, work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const fields = { ...(issuerId === undefined ? {} : { issuerId }), eventId, message };
      if (isSealwrightError(error) && error.code === 'lease-held') {
        log.info('crl-under-way', fields);
        underWay.push(error);
      } else {
        log.error(what, fields);
        failures.push(error);
      }
    }
  };
  return { attempting, failures, underWay };
}

/** Any status but a success has Pub/Sub deliver a message again. Thrown, the edge would write down a request that failed. */
const comeAgain = ({ code, message, retryAfterMs = 0 }: SealwrightError): HttpAnswer => ({
  status: 409,
  headers: { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) },
  body: { error: { code: 409, status: 'ABORTED', message, details: [{ reason: code }] } },
});

/**
 * Answers whether it was done, and not left to another run that is at the same answers: which is no reason to come again
 * once none about a revocation is missing.
 */
async function answering(
  { ocsp }: PublishCrlFunctionDeps,
  issuer: IssuerRecord,
  work: (deps: PublishOcspDeps, issuer: IssuerRecord, time: Time) => Promise<void>,
  time: Time,
): Promise<boolean> {
  if (ocsp === undefined || issuer.ocspUrl === undefined) return false;
  try {
    await work(ocsp, issuer, time);
    return true;
  } catch (error) {
    if (!isSealwrightError(error) || error.code !== 'lease-held') throw error;
    const signer = currentSigner(await ocsp.ledger.ocspSigners(issuer.issuerId));
    if (signer === undefined || !(await isOcspCurrent(ocsp, issuer))) throw error;
    ocsp.log.info('ocsp-under-way', { issuerId: issuer.issuerId, message: error.message });
    return false;
  }
}

/** On the schedule always; when asked about one issuer only while it may not issue yet. */
async function lookAtAddresses(
  { readiness }: PublishCrlFunctionDeps,
  issuer: IssuerRecord,
  isAsked: boolean,
): Promise<void> {
  const known = await readiness.ledger.issuerAddresses(issuer.issuerId);
  if (isAsked && unverified(addressesOf(issuer), known).length === 0) return;
  await checkAddresses(readiness, issuer);
}

interface PublishRequest {
  readonly issuerId?: string;
  readonly eventId: string;
  readonly event: string;
}

async function issuersToPublish(
  deps: PublishCrlFunctionDeps,
  { issuerId, eventId }: PublishRequest,
): Promise<readonly IssuerRecord[]> {
  const issuers = (await deps.ledger.issuers()).filter((issuer) => issuer.state !== 'retired');
  if (issuerId === undefined) return issuers;
  const issuer = issuers.find((candidate) => candidate.issuerId === issuerId);
  if (issuer !== undefined) return [issuer];
  deps.log.warning('crl-not-published', { issuerId, eventId, message: 'There is no such issuer.' });
  return [];
}

/** A message that can never be understood is logged and acknowledged. */
function understand(deps: Pick<PublishCrlFunctionDeps, 'log'>, body: Buffer): PublishRequest | undefined {
  try {
    return parseRequest(body);
  } catch (error) {
    if (!isSealwrightError(error) || error.kind !== 'invalid-input' || error.code === 'malformed-request')
      throw error;
    deps.log.warning('event-ignored', { reason: error.message });
    return undefined;
  }
}

function parseRequest(body: Buffer): PublishRequest {
  const fields = body.length === 0 ? {} : parseJsonObject(body);
  if (!('message' in fields)) return { eventId: 'schedule', event: 'schedule' };
  const message = parsePushEnvelope(fields);
  const { issuerId } = parseMessageJson(message);
  if (typeof issuerId !== 'string') {
    throw invalidInput('malformed-event', `Message ${message.messageId} names no "issuerId".`);
  }
  return { issuerId, eventId: message.messageId, event: 'crl-requested' };
}
