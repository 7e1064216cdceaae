/**
 * The public OCSP responder (RFC 6960 in the profile of RFC 9919): finds the answer that was signed ahead of time and gives it
 * out. It holds no key and can write nothing; what it cannot answer from storage it does not answer. So
 *
 * - a nonce is never in an answer (RFC 9654 §2.1 leaves that to responders that sign ahead); one of forbidden length is
 *   malformed;
 * - of several certificates asked about at once the first of ours is answered: the most complete response it can give
 *   (RFC 9919 §3.2.2), and whoever asked sees which one it is about;
 * - a serial that was never issued, or is meant to be and not signed yet, is `unauthorized`, as is another CA's.
 */
import { createHash } from 'node:crypto';
import type { CertIdHash } from '../domain/ocsp.ts';
import { DerError, toHex } from '../pki/der-reader.ts';
import { CERT_ID_HASHES, issuerHashes, type OcspError } from '../pki/ocsp.ts';
import { type CertId, readOcspRequest } from '../pki/ocsp-reader.ts';
import { OCSP_OIDS } from '../pki/oids.ts';
import type { Clock } from '../ports/clock.ts';
import type { OcspAnswers } from '../ports/ledger/ocsp.ts';
import type { Log } from '../ports/log.ts';

export interface OcspResponderDeps {
  readonly clock: Clock;
  /** Reading, and nothing else. */
  readonly answers: OcspAnswers;
  readonly log: Log;
}

export interface OcspAnswer {
  /** OCSPResponse, DER. */
  readonly der: Uint8Array;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** Lower-case hex of the SHA-256 of `der`. */
  readonly sha256Hex: string;
  /** Until then the same question has the same answer, and whoever keeps it need not ask again. Epoch milliseconds. */
  readonly keptUntilMs: number;
}

export type OcspReply = OcspAnswer | OcspError;

/**
 * What is remembered is answered at once, without a promise: a dozen turns of the event loop's microtasks are much of the cost of
 * so small a request.
 */
export type OcspResponder = (requestDer: Uint8Array) => OcspReply | Promise<OcspReply>;

/** Larger requests are malformed. One certificate takes 120 bytes with a nonce, a signature a few thousand. */
export const MAX_REQUEST_BYTES = 8 * 1024;
/** Certificates of one request that are looked up, at most: nobody makes us ask the ledger more often than that. */
const MAX_LOOKED_UP = 8;
/** A new answer, and so a revocation, is given out by every instance after this long at the latest. */
const KEPT_MS = 5_000;
const ISSUERS_KEPT_MS = 30_000;
/** A question that names none of ours may be about an issuer that is new; questions about other CAs' make no more reads than this. */
const UNKNOWN_ISSUER_KEPT_MS = 1_000;
/** About 1.3 kB each. */
const MOST_KEPT = 20_000;

interface Kept {
  readonly untilMs: number;
  readonly answer: Promise<Found | undefined>;
  /** Once it is there. */
  found?: Found | undefined;
}

interface Found extends OcspAnswer {
  readonly notAfterMs: number;
}

/** Throws what the ledger throws (`ledger-unavailable`, retryable). Bytes that are no request are `malformedRequest`. */
export function ocspResponder(deps: OcspResponderDeps): OcspResponder {
  const issuers = issuerIndex(deps);
  const kept = keptAnswers(deps);
  const judge = (found: Found | undefined, serialHex: string): OcspReply | undefined => {
    if (found === undefined) return undefined;
    const nowMs = deps.clock.now().getTime();
    if (found.nextUpdate.getTime() > nowMs) return found;
    // About an expired certificate nothing is signed any more, which is no fault; about a living one it is.
    if (found.notAfterMs < nowMs) return undefined;
    deps.log.error('ocsp-answer-stale', { serialHex, nextUpdate: found.nextUpdate.toISOString() });
    return 'tryLater';
  };
  const lookUp = async (certIds: readonly CertId[]): Promise<OcspReply> => {
    let isStale = false;
    for (const certId of certIds.slice(0, MAX_LOOKED_UP)) {
      const named = await issuers.find(certId);
      if (named === undefined || certId.serialHex.length > 40) continue;
      const reply = judge(await kept.find(named, certId.serialHex), certId.serialHex);
      if (reply === 'tryLater') isStale = true;
      else if (reply !== undefined) return reply;
    }
    return isStale ? 'tryLater' : 'unauthorized';
  };
  return (requestDer) => {
    if (requestDer.length > MAX_REQUEST_BYTES) return 'malformedRequest';
    const certIds = readCertIds(requestDer);
    if (certIds === undefined) return 'malformedRequest';
    const [certId] = certIds;
    if (certIds.length > 1 || certId === undefined) return lookUp(certIds);
    const named = issuers.peek(certId);
    const remembered = named === undefined ? undefined : kept.peek(named, certId.serialHex);
    if (remembered === undefined) return lookUp(certIds);
    return judge(remembered, certId.serialHex) ?? 'unauthorized';
  };
}

function readCertIds(requestDer: Uint8Array): readonly CertId[] | undefined {
  try {
    return readOcspRequest(requestDer).certIds;
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

interface Named {
  readonly issuerId: string;
  readonly hash: CertIdHash;
}

/** Our issuers by how a CertID names them. */
function issuerIndex({ answers, clock }: OcspResponderDeps) {
  let index: Promise<ReadonlyMap<string, Named>> | undefined;
  let loaded: ReadonlyMap<string, Named> | undefined;
  let begunMs = Number.NEGATIVE_INFINITY;
  const load = async (): Promise<ReadonlyMap<string, Named>> => {
    const named = new Map<string, Named>();
    for (const { issuerId, certificateDer } of await answers.ocspIssuers()) {
      for (const hash of CERT_ID_HASHES) {
        named.set(indexKey({ hashOid: OCSP_OIDS[hash], ...issuerHashes(certificateDer, hash) }), {
          issuerId,
          hash,
        });
      }
    }
    return named;
  };
  const isWithin = (nowMs: number, keptMs: number) => nowMs >= begunMs && nowMs < begunMs + keptMs;
  const isFresh = (nowMs: number) => isWithin(nowMs, ISSUERS_KEPT_MS);
  const reload = (nowMs: number): Promise<ReadonlyMap<string, Named>> => {
    begunMs = nowMs;
    const loading = load();
    index = loading;
    loading.then(
      (named) => {
        if (index === loading) loaded = named;
      },
      // A failure is told to whoever waits for it, and the next request tries again.
      () => {
        if (index !== loading) return;
        index = undefined;
        loaded = undefined;
      },
    );
    return loading;
  };
  return {
    /** Without asking anybody; undefined also where that would be needed. */
    peek: (certId: CertId): Named | undefined =>
      isFresh(clock.now().getTime()) ? loaded?.get(indexKey(certId)) : undefined,
    find: async (certId: CertId): Promise<Named | undefined> => {
      const nowMs = clock.now().getTime();
      const key = indexKey(certId);
      if (index === undefined || !isFresh(nowMs)) return (await reload(nowMs)).get(key);
      const known = (await index).get(key);
      if (known !== undefined || isWithin(nowMs, UNKNOWN_ISSUER_KEPT_MS)) return known;
      return (await reload(nowMs)).get(key);
    },
  };
}

const indexKey = ({ hashOid, nameHash, keyHash }: Omit<CertId, 'serialHex'>): string =>
  `${hashOid}/${toHex(nameHash)}/${toHex(keyHash)}`;

/** Answers as the ledger had them a few seconds ago at most; equal questions at the same moment are asked once. */
function keptAnswers({ answers, clock }: OcspResponderDeps) {
  const kept = new Map<string, Kept>();
  const read = async (
    issuerId: string,
    serialHex: string,
    hash: CertIdHash,
    keptUntilMs: number,
  ): Promise<Found | undefined> => {
    const row = await answers.readOcspAnswer(issuerId, serialHex, hash);
    if (row === undefined) return undefined;
    return {
      der: row.answerDer,
      thisUpdate: row.thisUpdate,
      nextUpdate: row.nextUpdate,
      sha256Hex: createHash('sha256').update(row.answerDer).digest('hex'),
      notAfterMs: row.notAfter.getTime(),
      keptUntilMs: Math.min(keptUntilMs, row.nextUpdate.getTime()),
    };
  };
  const keyOf = ({ issuerId, hash }: Named, serialHex: string) => `${issuerId}/${hash}/${serialHex}`;
  // A clock that was set back must not keep an answer for longer.
  const isFresh = ({ untilMs }: Kept, nowMs: number) => untilMs > nowMs && untilMs <= nowMs + KEPT_MS;
  return {
    /** Without asking anybody; undefined also where that would be needed. */
    peek: (named: Named, serialHex: string): Found | undefined => {
      const known = kept.get(keyOf(named, serialHex));
      return known !== undefined && isFresh(known, clock.now().getTime()) ? known.found : undefined;
    },
    find: async (named: Named, serialHex: string): Promise<Found | undefined> => {
      const key = keyOf(named, serialHex);
      const nowMs = clock.now().getTime();
      const known = kept.get(key);
      if (known !== undefined && isFresh(known, nowMs)) return await known.answer;
      const untilMs = nowMs + KEPT_MS;
      const entry: Kept = { untilMs, answer: read(named.issuerId, serialHex, named.hash, untilMs) };
      // The oldest first out: a Map keeps the order in which its keys came.
      kept.delete(key);
      kept.set(key, entry);
      if (kept.size > MOST_KEPT) {
        const oldest = kept.keys().next().value;
        if (oldest !== undefined) kept.delete(oldest);
      }
      entry.answer.then(
        (found) => {
          entry.found = found;
        },
        () => {
          if (kept.get(key) === entry) kept.delete(key);
        },
      );
      return await entry.answer;
    },
  };
}
