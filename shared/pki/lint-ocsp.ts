/** The linter of OCSP answers: RFC 6960, the lightweight profile of RFC 9919, S/MIME Baseline Requirements ("SMBR"). */
import { REVOCATION_REASONS } from '../domain/revocation-reason.ts';
import { type IssuerCertificate, readCertificate, readIssuer } from './certificate.ts';
import { DerError, sameBytes, toHex } from './der-reader.ts';
import { decodeExtensions } from './extensions-reader.ts';
import type { Finding } from './finding.ts';
import { rememberingLast } from './last-read.ts';
import { lintCertificate } from './lint.ts';
import { CERT_ID_HASHES, issuerHashes, responderKeyHash } from './ocsp.ts';
import { type OcspData, readOcspData, type SingleAnswer } from './ocsp-reader.ts';
import { OCSP_OIDS } from './oids.ts';
import { OCSP_SIGNER } from './profile.ts';
import type { Rule } from './rules.ts';

const bug =
  'The bytes were not made by this version of the product: let the next run of publish-crl make new ones.';

export const OCSP_RULES = {
  'ocsp-der': {
    sentence: 'The answer is DER with nothing left over.',
    source: 'RFC 6960 §4.2.1',
    scope: 'rfc',
    fix: bug,
  },
  'ocsp-one-answer': {
    sentence: 'It answers about exactly one certificate and has no extensions, so no nonce.',
    source: 'RFC 9919 §3.2; ours: some clients look at the first answer only',
    scope: 'rfc',
    fix: bug,
  },
  'ocsp-responder-id': {
    sentence: 'The responder is named by the SHA-1 of the signer’s key.',
    source: 'RFC 9919 §3.2.1; RFC 6960 §4.2.1',
    scope: 'rfc',
    fix: 'Check that the signer is the one the answers were recorded for.',
  },
  'ocsp-cert-id': {
    sentence: 'The CertID names the issuer’s name and key by SHA-1 or SHA-256, and a serial.',
    source: 'RFC 6960 §4.1.1; RFC 9919 §3.1.1',
    scope: 'rfc',
    fix: 'Check that the answer is built for the issuer it is signed for.',
  },
  'ocsp-this-update': {
    sentence:
      'producedAt is thisUpdate, which is at most a minute after the signing time and at most an hour before it.',
    source: 'RFC 6960 §2.4; ours: an answer is signed when it is built',
    scope: 'ours',
    fix: 'Let the next run make new ones; if they are fresh, check the clock.',
  },
  'ocsp-next-update': {
    sentence:
      'nextUpdate is 8 hours to 10 days after thisUpdate, or the end of the signer’s certificate where that is sooner, and never later than that.',
    source: 'SMBR 4.9.10; RFC 9919 §3.2',
    scope: 'smbr',
    fix: 'Make a new signer before the old one ends.',
  },
  'ocsp-status': {
    sentence: 'The status is good, or revoked with a reason of ours at a time that has come; never unknown.',
    source: 'RFC 6960 §4.2.1; SMBR 4.9.10 and 7.2.2',
    scope: 'smbr',
    fix: bug,
  },
  'ocsp-signer': {
    sentence: 'The signer’s certificate is valid now and follows the profile ocsp-signer of this issuer.',
    source: 'RFC 6960 §4.2.2.2; SMBR 4.9.9',
    scope: 'rfc',
    fix: 'Make a new signer: publish-crl does when the present one is about to end.',
  },
} as const satisfies Record<string, Rule>;

export type OcspRuleId = keyof typeof OCSP_RULES;

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const SHORTEST_MS = 8 * HOUR_MS;
const LONGEST_MS = 240 * HOUR_MS;
const REASON_CODES: ReadonlySet<number> = new Set(Object.values(REVOCATION_REASONS));

/** What a batch of answers is linted against; made once for all of them. */
export interface OcspLinter {
  readonly signerFindings: readonly Finding[];
  lint(tbsDer: Uint8Array): readonly Finding[];
}

/**
 * A linter for the answers of one signer. Throws `issuer-not-ready` for an issuer's certificate that cannot be read and
 * `DerError` for a signer's.
 */
export function ocspLinter(context: {
  readonly issuerCertificateDer: Uint8Array;
  readonly signerCertificateDer: Uint8Array;
  readonly signingTime: Date;
}): OcspLinter {
  const issuer = readIssuer(context.issuerCertificateDer);
  const signer = readCertificate(context.signerCertificateDer);
  const now = context.signingTime.getTime();
  const expected = {
    responder: responderKeyHash(signer.spkiDer),
    hashes: CERT_ID_HASHES.map((hash) => ({
      oid: OCSP_OIDS[hash] as string,
      ...issuerHashes(context.issuerCertificateDer, hash),
    })),
    signerEndsMs: signer.notAfter.at.getTime(),
  };
  return {
    signerFindings: lintSigner(context.signerCertificateDer, context.issuerCertificateDer, issuer, now),
    lint: (tbsDer) => {
      let data: OcspData;
      try {
        data = readOcspData(tbsDer);
      } catch (error) {
        if (!(error instanceof DerError)) throw error;
        return [finding('ocsp-der', error.message)];
      }
      return [...lintData(data, expected.responder, now), ...lintSingle(data.answers[0], expected, now)];
    },
  };
}

const finding = (rule: OcspRuleId, found: string): Finding => ({ rule, ...OCSP_RULES[rule], found });

const when = (broken: boolean, rule: OcspRuleId, found: () => string): readonly Finding[] =>
  broken ? [finding(rule, found())] : [];

/** Of a signer's certificate at the time it was made: it depends on the two certificates alone, which serve for days. */
const signerLint = rememberingLast((issuerCertificateDer) =>
  rememberingLast((signerCertificateDer) =>
    lintCertificate(signerCertificateDer, {
      profile: OCSP_SIGNER,
      issuerCertificateDer,
      signingTime: readCertificate(signerCertificateDer).notBefore.at,
    }),
  ),
);

/** The certificate's own rules at the time it was made, under one rule of ours, and that it has not ended. */
function lintSigner(
  signerCertificateDer: Uint8Array,
  issuerCertificateDer: Uint8Array,
  issuer: IssuerCertificate,
  now: number,
): readonly Finding[] {
  const signer = readCertificate(signerCertificateDer);
  const isValid = signer.notBefore.at.getTime() <= now && now <= signer.notAfter.at.getTime();
  const { malformed } = decodeExtensions(signer.extensions);
  const broken = signerLint(issuerCertificateDer)(signerCertificateDer);
  return [
    ...when(!isValid, 'ocsp-signer', () => `it is valid until ${signer.notAfter.at.toISOString()}`),
    ...when(malformed.length > 0 || broken.length > 0, 'ocsp-signer', () =>
      [...malformed.map(({ oid }) => oid), ...broken.map(({ rule }) => rule)].join(', '),
    ),
    ...when(
      !sameBytes(signer.issuerDer, issuer.certificate.subjectDer),
      'ocsp-signer',
      () => 'another issuer’s',
    ),
  ];
}

const lintData = (data: OcspData, responder: Uint8Array, now: number): readonly Finding[] => [
  ...when(
    data.answers.length !== 1 ||
      data.hasExtensions ||
      data.answers.some(({ hasExtensions }) => hasExtensions),
    'ocsp-one-answer',
    () => `${data.answers.length} answers${data.hasExtensions ? ', extensions' : ''}`,
  ),
  ...when(
    data.responderKeyHash === undefined || !sameBytes(data.responderKeyHash, responder),
    'ocsp-responder-id',
    () => (data.responderKeyHash === undefined ? 'a name' : toHex(data.responderKeyHash)),
  ),
  ...when(
    data.producedAt.getTime() !== data.answers[0]?.thisUpdate.getTime() ||
      data.producedAt.getTime() > now + MINUTE_MS ||
      data.producedAt.getTime() < now - HOUR_MS,
    'ocsp-this-update',
    () => `produced at ${data.producedAt.toISOString()}`,
  ),
];

function lintSingle(
  answer: SingleAnswer | undefined,
  expected: {
    readonly hashes: readonly { oid: string; nameHash: Uint8Array; keyHash: Uint8Array }[];
    readonly signerEndsMs: number;
  },
  now: number,
): readonly Finding[] {
  if (answer === undefined) return [];
  const { certId } = answer;
  const named = expected.hashes.find(({ oid }) => oid === certId.hashOid);
  const validMs = (answer.nextUpdate?.getTime() ?? 0) - answer.thisUpdate.getTime();
  const endsMs = answer.nextUpdate?.getTime() ?? 0;
  return [
    ...when(
      named === undefined ||
        !sameBytes(named.nameHash, certId.nameHash) ||
        !sameBytes(named.keyHash, certId.keyHash) ||
        !/^([0-7][0-9a-f])([0-9a-f]{2}){0,19}$/.test(certId.serialHex),
      'ocsp-cert-id',
      () => `${certId.hashOid} of another issuer, or serial ${certId.serialHex}`,
    ),
    ...when(
      validMs > LONGEST_MS ||
        (validMs < SHORTEST_MS && endsMs !== expected.signerEndsMs) ||
        validMs <= 0 ||
        endsMs > expected.signerEndsMs,
      'ocsp-next-update',
      () => answer.nextUpdate?.toISOString() ?? 'absent',
    ),
    ...when(
      answer.status === 'unknown' ||
        (answer.status === 'revoked' &&
          (answer.reasonCode === undefined ||
            !REASON_CODES.has(answer.reasonCode) ||
            (answer.revokedAt?.getTime() ?? Number.POSITIVE_INFINITY) > now + MINUTE_MS)),
      'ocsp-status',
      () => `${answer.status}, reason ${answer.reasonCode ?? 'none'}`,
    ),
  ];
}
