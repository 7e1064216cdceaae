import { beforeAll, describe, expect, it, test } from 'vitest';
import {
  contextConstructed,
  contextPrimitive,
  generalizedTime,
  octetString,
  sequence,
} from '../../shared/pki/der.ts';
import { OCSP_RULES, type OcspRuleId, ocspLinter } from '../../shared/pki/lint-ocsp.ts';
import { encodeCertId, encodeOcspAnswer, issuerHashes, responderKeyHash } from '../../shared/pki/ocsp.ts';
import { encodeExtension } from '../../shared/pki/tbs.ts';
import { type OcspStand, ocspStand } from '../support/ocsp-stand.ts';
import { DAY, MINUTE, NOW } from './sample-authority.ts';

const HOUR = 60 * MINUTE;
const SERIAL = '4a'.repeat(18);
/** Whole seconds, as times in an answer are. */
const at = (ms: number) => new Date(Math.floor((NOW.getTime() + ms) / 1000) * 1000);

let stand: OcspStand;
beforeAll(async () => {
  stand = await ocspStand({ now: NOW });
});

const issuer = (which: 'issuing' | 'root' = 'issuing') =>
  issuerHashes(stand.authority[which].certificateDer, 'sha256');
const keyHash = () => responderKeyHash(stand.signer.spkiDer);
const answer = (changes: Partial<Parameters<typeof encodeOcspAnswer>[0]> = {}) =>
  encodeOcspAnswer({
    issuer: issuer(),
    hash: 'sha256',
    responderKeyHash: keyHash(),
    serialHex: SERIAL,
    status: { kind: 'good' },
    now: NOW,
    nextUpdate: at(3 * DAY),
    ...changes,
  });

const GOOD = contextPrimitive(0, new Uint8Array());
const NONCE = sequence(encodeExtension('1.3.6.1.5.5.7.48.1.2', false, octetString(new Uint8Array(16))));
/** What `encodeOcspAnswer` would never write: the same answer, put together by hand. */
const byHand = ({
  responder = contextConstructed(2, octetString(keyHash())),
  status = GOOD,
  next = [contextConstructed(0, generalizedTime(at(3 * DAY)))],
  copies = 1,
  inside = [],
  after = [],
}: {
  readonly responder?: Uint8Array;
  readonly status?: Uint8Array;
  readonly next?: readonly Uint8Array[];
  readonly copies?: number;
  readonly inside?: readonly Uint8Array[];
  readonly after?: readonly Uint8Array[];
} = {}) => {
  const single = sequence(
    encodeCertId('sha256', issuer(), SERIAL),
    status,
    generalizedTime(at(0)),
    ...next,
    ...inside,
  );
  const list = sequence(...Array.from({ length: copies }, () => single));
  return sequence(responder, generalizedTime(at(0)), list, ...after);
};

const linter = (changes: Partial<Parameters<typeof ocspLinter>[0]> = {}) =>
  ocspLinter({
    issuerCertificateDer: stand.authority.issuing.certificateDer,
    signerCertificateDer: stand.signerCertificateDer,
    signingTime: NOW,
    ...changes,
  });
const rulesOf = (findings: readonly { readonly rule: string }[]) => findings.map(({ rule }) => rule);

const MUTANTS: readonly (readonly [string, () => Uint8Array, readonly OcspRuleId[]])[] = [
  ['an octet after its end', () => Buffer.concat([answer(), Uint8Array.of(0)]), ['ocsp-der']],
  ['its end cut off', () => answer().subarray(0, -1), ['ocsp-der']],
  ['two answers', () => byHand({ copies: 2 }), ['ocsp-one-answer']],
  ['no answer', () => byHand({ copies: 0 }), ['ocsp-one-answer', 'ocsp-this-update']],
  ['a nonce', () => byHand({ after: [contextConstructed(1, NONCE)] }), ['ocsp-one-answer']],
  [
    'an extension of the one answer',
    () => byHand({ inside: [contextConstructed(1, NONCE)] }),
    ['ocsp-one-answer'],
  ],
  ['another responder', () => answer({ responderKeyHash: new Uint8Array(20) }), ['ocsp-responder-id']],
  [
    'a responder by its name',
    () => byHand({ responder: contextConstructed(1, sequence()) }),
    ['ocsp-responder-id'],
  ],
  ['another issuer', () => answer({ issuer: issuer('root') }), ['ocsp-cert-id']],
  ['a digest under another’s name', () => answer({ hash: 'sha1' }), ['ocsp-cert-id']],
  ['a negative serial', () => answer({ serialHex: 'ca'.repeat(18) }), ['ocsp-cert-id']],
  ['a beginning two hours ago', () => answer({ now: at(-2 * HOUR) }), ['ocsp-this-update']],
  ['a beginning in two minutes', () => answer({ now: at(2 * MINUTE) }), ['ocsp-this-update']],
  ['a life of 11 days', () => answer({ nextUpdate: at(11 * DAY) }), ['ocsp-next-update']],
  ['a life of 7 hours', () => answer({ nextUpdate: at(7 * HOUR) }), ['ocsp-next-update']],
  ['no end', () => byHand({ next: [] }), ['ocsp-next-update']],
  ['the status unknown', () => byHand({ status: contextPrimitive(2, new Uint8Array()) }), ['ocsp-status']],
  [
    'a revocation without a reason',
    () => byHand({ status: contextConstructed(1, generalizedTime(at(-DAY))) }),
    ['ocsp-status'],
  ],
  [
    'a revocation tomorrow',
    () => answer({ status: { kind: 'revoked', revokedAt: at(DAY), reason: 'superseded' } }),
    ['ocsp-status'],
  ],
];

describe('the linter of OCSP answers', () => {
  it('finds nothing in an answer of ours, good or revoked, nor in its signer', () => {
    const revoked = { kind: 'revoked', revokedAt: at(-DAY), reason: 'superseded' } as const;
    expect([...linter().lint(answer()), ...linter().lint(byHand())]).toEqual([]);
    expect(linter().lint(answer({ status: revoked }))).toEqual([]);
    expect(linter().signerFindings).toEqual([]);
  });

  test.each(MUTANTS)('refuses an answer with %s', (_what, der, rules) => {
    expect(rulesOf(linter().lint(der()))).toEqual(rules);
  });

  it('refuses an answer that outlives its signer', () => {
    // The signer lives for 14 days from NOW.
    const late = linter({ signingTime: at(12 * DAY) });
    const nextUpdate = at(15 * DAY);
    expect(rulesOf(late.lint(answer({ now: at(12 * DAY), nextUpdate })))).toEqual(['ocsp-next-update']);
  });

  test.each([
    ['that has ended', () => ({ signingTime: at(15 * DAY) })],
    ['that has not begun', () => ({ signingTime: at(-DAY) })],
    ['of another issuer', () => ({ issuerCertificateDer: stand.authority.root.certificateDer })],
    ['that is no OCSP signer', () => ({ signerCertificateDer: stand.authority.issuing.certificateDer })],
  ])('refuses a signer %s', (_what, changes) => {
    expect(new Set(rulesOf(linter(changes()).signerFindings))).toEqual(new Set(['ocsp-signer']));
  });

  it('is shown to refuse each of its rules', () => {
    const shown: readonly string[] = [...MUTANTS.flatMap(([, , rules]) => rules), 'ocsp-signer'];
    expect(Object.keys(OCSP_RULES).filter((rule) => !shown.includes(rule))).toEqual([]);
  });
});
