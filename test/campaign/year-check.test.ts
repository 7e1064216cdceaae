/** The judges of `year.ts` are shown what they must catch; the year itself runs on a real PostgreSQL (test/postgres/year.test.ts). */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Certificate } from '../../demo/company-client.ts';
import type { GmailPair } from '../stories/story.ts';
import { type Calendar, calendarOf } from './year/calendar.ts';
import {
  checkAudit,
  checkCrlHistory,
  checkHealth,
  checkNothingHeld,
  checkOldMail,
  checkPerson,
  checkRenewals,
  checkRetiring,
  type Ending,
  type Found,
  issuedBy,
} from './year/check.ts';
import { type Expected, expectedAtTheEnd } from './year/model.ts';

const ADDRESS = 'p001@acme.example';
const KEY_SERVICE = 'http://127.0.0.1:8602';
const DAY_MS = 86_400_000;

let pem: string;
let serial: string;
let ending: Ending;
beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), 'sealwright-check-'));
  const file = join(folder, 'leaf.pem');
  const subject = ['-subj', '/CN=p', '-addext', `subjectAltName=email:${ADDRESS}`, '-set_serial', '0x11'];
  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', join(folder, 'key.pem')];
  execFileSync('openssl', ['req', '-x509', ...key, ...subject, '-days', '30', '-out', file], {
    stdio: 'ignore',
  });
  pem = readFileSync(file, 'utf8');
  rmSync(folder, { recursive: true });
  serial = '11';
  const now = new Date();
  ending = { now, startedAt: new Date(now.getTime() - 40 * DAY_MS), keyService: KEY_SERVICE, crl: new Map() };
});

const served: Expected = {
  person: 'p001',
  address: 'p001',
  standing: 'served',
  undisturbed: true,
  revocations: [],
};
const leaf = (changes: Partial<Certificate> = {}): Certificate => ({
  serial,
  state: 'signed',
  addresses: [ADDRESS],
  notAfter: new Date(ending.now.getTime() + 30 * DAY_MS).toISOString(),
  ...changes,
});
const pair = (changes: Partial<GmailPair> = {}): GmailPair => ({
  keyPairId: 'k1',
  pem,
  enablementState: 'enabled',
  privateKeyMetadata: [
    { kaclsKeyMetadata: { kaclsUri: KEY_SERVICE, kaclsData: 'x' } as { kaclsData: string } },
  ],
  ...changes,
});
const identity = { emailAddress: ADDRESS, primaryKeyPairId: 'k1' };
const found = (changes: Partial<Found> = {}, state = 'ready', certificates = [leaf()]): Found => ({
  view: { userId: '1', user: ADDRESS, state, reason: 'So.', certificates },
  gmail: { pairs: [pair()], identities: [identity] },
  ...changes,
});
const judge = (what: Found, expected = served, at = ending) =>
  checkPerson(expected, ADDRESS, what, at).join('\n');

describe('the judge of a year', () => {
  it('has nothing to say about somebody who is as the model says', () => {
    expect(judge(found())).toBe('');
  });

  it.each<[string, () => string, RegExp]>([
    ['somebody nobody knows', () => judge({ view: undefined }), /unknown to the ledger/],
    ['another state', () => judge(found({}, 'pending')), /is pending \(So\.\), not served/],
    ['no identity', () => judge(found({ gmail: { pairs: [pair()], identities: [] } })), /has 0 identities/],
    [
      'two identities',
      () => judge(found({ gmail: { pairs: [pair()], identities: [identity, identity] } })),
      /has 2 identities/,
    ],
    [
      'an identity of a former address',
      () =>
        judge(
          found({
            gmail: { pairs: [pair()], identities: [{ ...identity, emailAddress: 'x@acme.example' }] },
          }),
        ),
      /is for x@acme\.example/,
    ],
    [
      'a certificate for another address',
      () => checkPerson(served, 'p002@acme.example', found(), ending).join('\n'),
      /it names email:p001@acme\.example/,
    ],
    [
      'a pair that Gmail does not list',
      () => judge(found({ gmail: { pairs: [], identities: [identity] } })),
      /no key pair that Gmail lists/,
    ],
    [
      'a pair that is disabled',
      () =>
        judge(found({ gmail: { pairs: [pair({ enablementState: 'disabled' })], identities: [identity] } })),
      /the pair is disabled/,
    ],
    [
      'a key with another key service',
      () => judge(found(), served, { ...ending, keyService: 'http://elsewhere' }),
      /not with http:\/\/elsewhere/,
    ],
    [
      'a certificate that ended',
      () => judge(found(), served, { ...ending, now: new Date(ending.now.getTime() + 60 * DAY_MS) }),
      /it ended on/,
    ],
    [
      'a certificate the ledger does not have',
      () => judge(found({}, 'ready', [])),
      /the ledger does not have it/,
    ],
    [
      'a revoked certificate in use',
      () =>
        judge(
          found({}, 'ready', [
            leaf({ revocation: { reason: 'superseded', revokedAt: ending.now.toISOString() } }),
          ]),
        ),
      /it was revoked \(superseded\)/,
    ],
    [
      'a revocation for a reason nobody gave',
      () =>
        judge(
          found({}, 'ready', [
            leaf({ revocation: { reason: 'superseded', revokedAt: ending.now.toISOString() } }),
          ]),
        ),
      /was revoked as superseded on day 40/,
    ],
    [
      'a revocation that did not come',
      () => judge(found(), { ...served, revocations: [{ day: 3, reason: 'keyCompromise' }] }),
      /nothing was revoked as keyCompromise about day 3/,
    ],
    [
      'a revocation that came a week late',
      () =>
        judge(
          found({}, 'ready', [
            leaf({
              revocation: {
                reason: 'keyCompromise',
                revokedAt: new Date(ending.startedAt.getTime() + 10 * DAY_MS).toISOString(),
              },
            }),
          ]),
          { ...served, revocations: [{ day: 3, reason: 'keyCompromise' }] },
        ),
      /nothing was revoked as keyCompromise about day 3/,
    ],
    [
      'a revocation that the CRL does not list',
      () =>
        judge(
          found({}, 'ready', [
            leaf({ revocation: { reason: 'superseded', revokedAt: ending.now.toISOString() } }),
          ]),
        ),
      /The CRL has nothing about 11/,
    ],
    [
      'a CRL entry without a revocation',
      () => judge(found(), served, { ...ending, crl: new Map([[serial, 'Superseded']]) }),
      /The CRL has Superseded about 11/,
    ],
    [
      'a leaver who keeps a certificate and an identity',
      () => judge(found({}, 'out'), { ...served, standing: 'out' }),
      /is out and has an identity\.\n.*is out and 11 is not revoked/,
    ],
  ])('names %s', (_what, judged, sentence) => {
    expect(judged()).toMatch(sentence);
  });

  it('names a CRL whose number shrinks, whose reason changes, or that loses an entry before its end', () => {
    const at = ending.now;
    const crl = (number: bigint, ...revoked: [string, string][]) => ({
      at,
      crl: { number, nextUpdate: ending.now, revoked: new Map(revoked) },
    });
    const endings = new Map([
      ['a', new Date(at.getTime() + 1)],
      ['b', at],
    ]);
    const history = (...sightings: ReturnType<typeof crl>[]) => checkCrlHistory(sightings, endings);
    expect(history(crl(1n, ['a', 'Superseded'], ['b', 'Superseded']), crl(2n, ['a', 'Superseded']))).toEqual(
      [],
    );
    expect(history(crl(2n), crl(1n))).toEqual([expect.stringContaining('shrank from 2 to 1')]);
    expect(history(crl(1n, ['a', 'Superseded']), crl(2n))).toEqual(['a left the CRL before its end.']);
    expect(history(crl(1n, ['a', 'Superseded']), crl(2n, ['a', 'Key Compromise']))).toEqual([
      "The CRL's reason for a changed.",
    ]);
    expect(history(crl(1n, ['c', 'Superseded']), crl(2n))).toEqual([expect.stringContaining('nobody has')]);
  });
});

describe('the checks of the whole company', () => {
  it('find departures that are still held', () => {
    expect(checkNothingHeld([])).toEqual([]);
    expect(checkNothingHeld([{ reason: 'Five would leave at once.' }])).toEqual([
      'Departures are still held: Five would leave at once.',
    ]);
  });

  it('find whoever is served and cannot open old mail, or reads another text', async () => {
    const mails = [{ to: 'p001', text: 'Plans' }];
    const opening = (open: () => Promise<string>, standing: Expected['standing'] = 'served') =>
      checkOldMail([{ ...served, standing }], mails, open);
    const refuse = () => Promise.reject(new Error('The key is gone.'));
    expect(await opening(() => Promise.resolve('Plans\r\n'))).toEqual([]);
    expect(await opening(refuse)).toEqual(['p001 cannot open mail of day 3: The key is gone.']);
    expect(await opening(() => Promise.resolve('Other plans'))).toEqual([
      'p001 reads another text than was sent.',
    ]);
    expect(await opening(refuse, 'out')).toEqual([]);
  });

  it('find a CA that is not well', () => {
    expect(checkHealth({ exit: 0, stdout: '{"healthy":true}' })).toEqual([]);
    expect(checkHealth({ exit: 1, stdout: 'ERROR   crl-late: The CRL of issuing-1 has ended.' })).toEqual([
      'The CA is not well: ERROR   crl-late: The CRL of issuing-1 has ended.',
    ]);
  });

  it('find an audit trail that does not verify, and a day without a checkpoint', () => {
    expect(checkAudit({ exit: 0, stdout: '{}' }, 30, 30)).toEqual([]);
    expect(checkAudit({ exit: 1, stdout: '{"findings":1}' }, 30, 30)).toEqual([
      'The audit trail does not verify: {"findings":1}',
    ]);
    expect(checkAudit({ exit: 0, stdout: '{}' }, 29, 30)).toEqual(['29 checkpoints were signed in 30 days.']);
    expect(checkAudit({ exit: 0, stdout: '{}' }, Number.NaN, 30)).toHaveLength(1);
  });
});

describe('the check of renewals', () => {
  const day = (count: number) => new Date(Date.UTC(2026, 0, 1) + count * DAY_MS);
  const of = (issued: readonly (readonly [number, number])[], warnings: readonly string[] = []) => ({
    address: ADDRESS,
    issued: issued.map(([at, notAfter]) => ({ at: day(at), notAfter: day(notAfter) })),
    warnings,
  });

  it('finds nothing where each had a successor in time, also of a shorter life', () => {
    expect(
      checkRenewals(
        of([
          [0, 365],
          [335, 350],
          [347, 712],
        ]),
        day(400),
      ),
    ).toEqual([]);
  });

  it('finds one that was replaced late, and one that was not', () => {
    const late = of([
      [0, 365],
      [360, 725],
    ]);
    expect(checkRenewals(late, day(400))).toEqual([
      `${ADDRESS} had no new certificate by ${day(337).toISOString()}, and the old one ends on ${day(365).toISOString()}.`,
    ]);
    expect(checkRenewals(of([[0, 365]]), day(337))).toEqual([]);
    expect(checkRenewals(of([[0, 365]]), day(338))).toHaveLength(1);
  });

  it('knows of a certificate whose issuance was cut off and finished later, and of none that was not signed', () => {
    const certificates = ['01', '02'].map((serialHex) => ({
      serial: serialHex,
      notAfter: day(365).toISOString(),
    }));
    const record = (at: number, step: string, serialHex: string, outcome = 'done') => ({
      at: day(at).toISOString(),
      step,
      outcome,
      details: { serialHex },
    });
    const trail = [
      record(0, 'issue-leaf', '01'),
      record(2, 'issue-leaf', '02', 'failed'),
      record(3, 'make-key', '02'),
      record(4, 'sign-leaf', '02'),
    ];
    expect(issuedBy(trail, certificates).map(({ at }) => at)).toEqual([day(0), day(4)]);
  });

  it('finds whoever had to be warned', () => {
    expect(checkRenewals(of([[0, 365]], ['It ends.']), day(10))).toEqual([
      `${ADDRESS} was warned of: It ends.`,
    ]);
  });
});

describe('the check of the issuer that retires', () => {
  const day = (number: number) => new Date(ending.startedAt.getTime() + number * DAY_MS);
  const sighting = (at: number, nextUpdate: number) => ({
    at: day(at),
    crl: { number: 7n, nextUpdate: day(nextUpdate), revoked: new Map<string, string>() },
  });
  const soundOne = () => ({
    sightings: [sighting(10, 15), sighting(20, 24), sighting(30, 24)],
    endings: [day(10), day(20)],
    now: day(40),
  });

  it('finds nothing where it signed until its last certificate had ended, and is retired', () => {
    const sound = soundOne();
    expect(checkRetiring({ ...sound, retiredAt: day(21) })).toEqual([]);
    expect(checkRetiring({ ...sound, sightings: [], retiredAt: undefined, now: day(19) })).toEqual([]);
  });

  it('finds a CRL that had run out, and an issuer retired too early or not at all', () => {
    const sound = soundOne();
    const lapsed = { ...sound, sightings: [sighting(10, 9)], retiredAt: day(21) };
    expect(checkRetiring(lapsed)).toEqual([
      expect.stringContaining('CRL 7 of the issuer that retires had run out'),
    ]);
    expect(checkRetiring({ ...sound, retiredAt: day(20) })).toEqual([
      expect.stringContaining('before its last'),
    ]);
    expect(checkRetiring({ ...sound, sightings: [], retiredAt: undefined })).toEqual([
      expect.stringContaining('is not retired'),
    ]);
  });
});

describe('the model of a year', () => {
  const year = (...acts: readonly Calendar['acts'][number][]): Calendar => ({
    seed: 1,
    people: 1,
    days: acts.length,
    acts: [[{ kind: 'hire', person: 'p001', unit: '/Staff' }], ...acts.slice(1)],
  });
  const quiet = (days: number) => Array.from({ length: days }, () => []);

  it('leaves whoever comes back within the time of grace as they were', () => {
    const away = year(
      [],
      [{ kind: 'suspend', person: 'p001' }],
      ...quiet(29),
      [{ kind: 'restore', person: 'p001' }],
      ...quiet(9),
    );
    expect(expectedAtTheEnd(away)).toEqual([{ ...served, undisturbed: false }]);
  });

  it('has whoever comes back later lose a certificate and get another', () => {
    const away = year(
      [],
      [{ kind: 'suspend', person: 'p001' }],
      ...quiet(31),
      [{ kind: 'restore', person: 'p001' }],
      ...quiet(9),
    );
    expect(expectedAtTheEnd(away)).toEqual([
      { ...served, undisturbed: false, revocations: [{ day: 31, reason: 'privilegeWithdrawn' }] },
    ]);
  });

  it('has whoever is away at the end waiting, or out', () => {
    const suspended = (days: number) => year([], [{ kind: 'suspend', person: 'p001' }], ...quiet(days));
    expect(expectedAtTheEnd(suspended(20))).toMatchObject([{ standing: 'waiting', revocations: [] }]);
    expect(expectedAtTheEnd(suspended(40))).toMatchObject([
      { standing: 'out', revocations: [{ day: 31, reason: 'privilegeWithdrawn' }] },
    ]);
  });

  it('is of a calendar in which everything happens, the same for the same seed', () => {
    const calendar = calendarOf({ seed: 5, people: 200, days: 400 });
    expect(calendarOf({ seed: 5, people: 200, days: 400 })).toEqual(calendar);
    expect(new Set(calendar.acts.flat().map(({ kind }) => kind))).toEqual(
      new Set([
        ...[
          'hire',
          'delete',
          'move-out',
          'move-back',
          'suspend',
          'restore',
          'rename',
          'rekey',
          'move-unit-out',
        ],
        ...['approve-held', 'roll-issuer', 'root-crl', 'change-key-service', 'mail'],
      ]),
    );
  });
});
