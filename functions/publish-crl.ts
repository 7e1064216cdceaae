/** Schedule, and soon after each revocation → publish the CRL. Signs through `sign`. */
import { type PublishCrlDeps, publishCrl } from '../shared/authority/publish-crl.ts';
import { invalidInput } from '../shared/errors.ts';
import type { IdTokenVerifier } from '../shared/ports/id-tokens.ts';
import { authenticateCaller, type CallerRule } from './wire/caller.ts';
import { type HttpHandler, parseJsonObject } from './wire/http.ts';
import { parseMessageJson, parsePushEnvelope } from './wire/push-envelope.ts';

export interface PublishCrlFunctionDeps extends PublishCrlDeps {
  readonly callers: CallerRule;
  readonly idTokens: IdTokenVerifier;
}

/** A Pub/Sub push naming an issuer publishes that one; an empty body (the schedule) publishes every living issuer's. */
export function createPublishCrl(deps: PublishCrlFunctionDeps): HttpHandler {
  return async (call) => {
    await authenticateCaller(call.headers, deps.callers, deps.idTokens);
    const request = parseRequest(call.body);
    const issuers = (await deps.ledger.issuers()).filter((issuer) => issuer.state !== 'retired');
    const wanted =
      request.issuerId === undefined
        ? issuers
        : issuers.filter(({ issuerId }) => issuerId === request.issuerId);
    const published = [];
    for (const issuer of wanted) {
      const { crlNumber, entries } = await publishCrl(deps, issuer, {
        eventId: request.eventId,
        event: request.event,
      });
      published.push({ issuerId: issuer.issuerId, crlNumber: String(crlNumber), entries });
    }
    if (wanted.length === 0) deps.log.warning('crl-not-published', { reason: 'No such issuer.', ...request });
    return { status: 200, body: { published } };
  };
}

interface PublishRequest {
  readonly issuerId?: string;
  readonly eventId: string;
  readonly event: string;
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
