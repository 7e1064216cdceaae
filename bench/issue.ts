/**
 * Certificates per second, ledger left out: build (with its lint), then lint, sign, compare, verify, against
 * the bare signature with the same key in the same run: `node bench/issue.ts [--quick] [--json]`. Further rows say where the
 * time goes. All of it is processor time, the signing thread's included, taken in turns of a tenth of a second: on a busy machine
 * the wall clock would measure the others.
 *
 * Enough is what Gmail's quota can take: a hundred a second. There is no target, as the figure is the machine's.
 */

import { createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto';
import { madeOffline } from '../shared/domain/recorded.ts';
import { SIGNATURE_ALGORITHMS } from '../shared/pki/algorithm.ts';
import { createAuthority } from '../shared/pki/authority.ts';
import { issueCertificate } from '../shared/pki/issue.ts';
import { generateRsaKey } from '../shared/pki/key.ts';
import { buildLeaf } from '../shared/pki/leaf.ts';
import { lintCertificate } from '../shared/pki/lint.ts';
import { EXAMPLE_POLICY_OID } from '../shared/pki/oids.ts';
import { DUAL_USE_RSA } from '../shared/pki/profile.ts';
import { drawSerial } from '../shared/pki/serial.ts';
import { signerFromPkcs8 } from '../shared/pki/signer.ts';
import { type BenchRow, median, report } from './report.ts';

const QUICK = process.argv.includes('--quick');
const TURN_MS = 100;
const TURNS = QUICK ? 3 : 25;
const ISSUERS = [
  { name: 'RSA-2048', modulusBits: 2048 },
  { name: 'RSA-4096', modulusBits: 4096 },
  { name: 'P-256', curve: 'P-256' },
  { name: 'P-384', curve: 'P-384' },
] as const;

const rows: BenchRow[] = [];
for (const issuer of ISSUERS) rows.push(...(await measure(issuer)));
report('Issuing, without the ledger', rows);

async function measure(issuer: (typeof ISSUERS)[number]): Promise<readonly BenchRow[]> {
  const now = new Date();
  const { name, ...keys } = issuer;
  const authority = await createAuthority({
    country: 'DE',
    organization: 'Acme GmbH',
    rootName: 'Acme S/MIME Root 1',
    issuingName: 'Acme S/MIME Issuing CA 1',
    rootCrlUrl: 'http://pki.acme.example/root.crl',
    rootUrl: 'http://pki.acme.example/root.cer',
    policyOids: { own: EXAMPLE_POLICY_OID },
    now,
    random: randomBytes,
    ...keys,
  });
  const { certificateDer, pkcs8Der } = authority.issuing;
  const signer = signerFromPkcs8(pkcs8Der, { certificateDer });
  const users = await Promise.all([1, 2, 3, 4].map(() => generateRsaKey(2048)));
  let turn = 0;
  const unsigned = () => {
    turn += 1;
    return buildLeaf({
      issuer: {
        certificateDer,
        crlUrl: 'http://pki.acme.example/issuing.crl',
        issuerUrl: 'http://pki.acme.example/issuing.cer',
      },
      spkiDer: users[turn % users.length]?.spkiDer ?? new Uint8Array(),
      addresses: [`user${turn}@acme.example`],
      serialHex: drawSerial(randomBytes),
      now,
      validityDays: 365,
    }).tbsDer;
  };
  const issue = async () => {
    await issueCertificate({
      tbsDer: madeOffline(unsigned()),
      profile: DUAL_USE_RSA,
      issuerCertificateDer: certificateDer,
      signer,
      signingTime: now,
    });
  };
  const key = createPrivateKey({ key: Buffer.from(pkcs8Der), format: 'der', type: 'pkcs8' });
  const sample = unsigned();
  const { hash } = SIGNATURE_ALGORITHMS[signer.algorithm];
  const bare = async () => {
    sign(hash, sample, key);
  };
  const lint = async () => {
    lintCertificate(sample, {
      profile: DUAL_USE_RSA,
      issuerCertificateDer: certificateDer,
      signingTime: now,
    });
  };
  const verifying = createPublicKey(key);
  const signature = sign(hash, sample, key);
  const check = async () => {
    verify(hash, sample, verifying, signature);
  };
  const build = async () => void unsigned();
  const [ours, peer, built, linted, checked] = await inTurns([issue, bare, build, lint, check]);
  const share = (what: string, rate: number): BenchRow => ({
    name: `of that, ${what}`,
    ours: 1000 / rate,
    peer: 1000 / ours,
    peerName: 'the whole of one issue',
    unit: 'ms',
  });
  return [
    {
      name: `issued under ${name}`,
      ours,
      peer,
      peerName: 'crypto.sign alone',
      unit: 'per CPU second',
    },
    share('built and linted before it is recorded', built),
    share('linted again before it is signed', linted),
    share('signed', peer),
    share('verified, once by the signer and once as a certificate', checked / 2),
  ];
}

type Work = () => Promise<void>;
type Rates = readonly [number, number, number, number, number];

/** How often each is done in a second of processor time: medians of many short turns, one after the other. */
async function inTurns(works: readonly [Work, Work, Work, Work, Work]): Promise<Rates> {
  const figures = works.map((): number[] => []);
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (const [index, work] of works.entries()) figures[index]?.push(await rate(work));
  }
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = figures.map(median);
  return [a, b, c, d, e];
}

async function rate(work: Work): Promise<number> {
  const started = process.cpuUsage();
  let count = 0;
  for (;;) {
    await work();
    count += 1;
    const { user, system } = process.cpuUsage(started);
    const spentMs = (user + system) / 1000;
    if (spentMs >= TURN_MS) return (count * 1000) / spentMs;
  }
}
