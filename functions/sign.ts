/** Private HTTP → the only holder of the CA key. Everything it signs is described by an intent in the ledger. */
import { type SignDeps, signCrlIntent, signLeafIntent } from '../shared/authority/sign.ts';
import {
  type SignCheckpointDeps,
  signAuditSignerIntent,
  signCheckpointIntent,
} from '../shared/authority/sign-checkpoint.ts';
import { type SignOcspDeps, signOcspBatch, signOcspSignerIntent } from '../shared/authority/sign-ocsp.ts';
import { invalidInput, permanent } from '../shared/errors.ts';
import type { IdTokenVerifier } from '../shared/ports/id-tokens.ts';
import type { Log } from '../shared/ports/log.ts';
import { authenticateCaller, type CallerRule } from './wire/caller.ts';
import { type HttpHandler, parseJsonObject } from './wire/http.ts';

export interface SignFunctionDeps
  extends Omit<SignDeps, 'ledger'>,
    Omit<SignOcspDeps, 'ledger'>,
    Omit<SignCheckpointDeps, 'ledger'> {
  readonly ledger: SignDeps['ledger'] & SignOcspDeps['ledger'] & SignCheckpointDeps['ledger'];
  readonly callers: CallerRule;
  readonly idTokens: IdTokenVerifier;
  readonly log: Log;
}

/**
 * `POST /v1/leaf {"serialHex"}` → `{"leaf": base64 DER}`; `POST /v1/crl {"issuerId","crlNumber"}` →
 * `{"crlNumber"}`, and the CRL is in the ledger; `POST /v1/ocsp-signer {"serialHex"}` → `{"certificate": base64 DER}`; `POST /v1/ocsp {"batchId"}` →
 * `{"answers": how many are public now}`; `POST /v1/audit-signer {"serialHex"}` → `{"certificate": base64 DER}`; `POST
 * /v1/checkpoint {"number"}` → `{"signed": base64 DER}`. Numbers are decimal strings.
 */
export function createSign(deps: SignFunctionDeps): HttpHandler {
  return async (call) => {
    const caller = await authenticateCaller(call.headers, deps.callers, deps.idTokens);
    if (call.method !== 'POST') throw permanent('method-not-allowed', 'Intents are posted.');
    const body = parseJsonObject(call.body);
    switch (call.path) {
      case '/v1/leaf': {
        const serialHex = field(body, 'serialHex', /^[0-9a-f]{2,40}$/);
        const leaf = await signLeafIntent(deps, serialHex);
        deps.log.info('signed', { kind: 'leaf', serialHex, caller });
        return { status: 200, body: { leaf: Buffer.from(leaf).toString('base64') } };
      }
      case '/v1/crl': {
        const issuerId = field(body, 'issuerId', /^[\w.-]{1,128}$/);
        // Eighteen digits always fit the ledger's 64 bits; CRLs are numbered from 1.
        const crlNumber = field(body, 'crlNumber', /^\d{1,18}$/);
        await signCrlIntent(deps, issuerId, BigInt(crlNumber));
        deps.log.info('signed', { kind: 'crl', issuerId, crlNumber, caller });
        return { status: 200, body: { crlNumber } };
      }
      case '/v1/ocsp-signer': {
        const serialHex = field(body, 'serialHex', /^[0-9a-f]{2,40}$/);
        const certificate = await signOcspSignerIntent(deps, serialHex);
        deps.log.info('signed', { kind: 'ocsp-signer', serialHex, caller });
        return { status: 200, body: { certificate: Buffer.from(certificate).toString('base64') } };
      }
      case '/v1/ocsp': {
        const batchId = field(body, 'batchId', /^\d{1,18}$/);
        const answers = await signOcspBatch(deps, BigInt(batchId));
        deps.log.info('signed', { kind: 'ocsp', batchId, answers, caller });
        return { status: 200, body: { answers } };
      }
      case '/v1/audit-signer': {
        const serialHex = field(body, 'serialHex', /^[0-9a-f]{2,40}$/);
        const certificate = await signAuditSignerIntent(deps, serialHex);
        deps.log.info('signed', { kind: 'audit-signer', serialHex, caller });
        return { status: 200, body: { certificate: Buffer.from(certificate).toString('base64') } };
      }
      case '/v1/checkpoint': {
        const number = field(body, 'number', /^\d{1,18}$/);
        const signed = await signCheckpointIntent(deps, BigInt(number));
        deps.log.info('signed', { kind: 'checkpoint', number, caller });
        return { status: 200, body: { signed: Buffer.from(signed).toString('base64') } };
      }
      default:
        throw permanent(
          'not-found',
          'There are six things to sign: /v1/leaf, /v1/crl, /v1/ocsp-signer, /v1/ocsp, /v1/audit-signer and /v1/checkpoint.',
        );
    }
  };
}

function field(body: Readonly<Record<string, unknown>>, name: string, form: RegExp): string {
  const value = body[name];
  if (typeof value !== 'string' || !form.test(value)) {
    throw invalidInput('malformed-request', `"${name}" is missing or has another form than ${form.source}.`);
  }
  return value;
}
