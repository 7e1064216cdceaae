/**
 * Certificates per second, ledger left out: build (with its lint), then lint, sign, compare, verify, lint again, against
 * the bare signature with the same key in the same run: `node bench/issue.ts [--quick] [--json]`. One thread. A second row
 * for each issuer says what the way would cost if signing were free.
 *
 * Enough is what Gmail's quota can take: a hundred a second. There is no target, as the figure is the machine's; one issue is
 * under way at a time, so it is a latency too.
 */
import { createPrivateKey, randomBytes, sign } from 'node:crypto';
import { SIGNATURE_ALGORITHMS } from '../shared/pki/algorithm.ts';
import { createAuthority } from '../shared/pki/authority.ts';
import { issueCertificate } from '../shared/pki/issue.ts';
import { generateRsaKey } from '../shared/pki/key.ts';
import { buildLeaf } from '../shared/pki/leaf.ts';
import { EXAMPLE_POLICY_OID } from '../shared/pki/oids.ts';
import { DUAL_USE_RSA } from '../shared/pki/profile.ts';
import { drawSerial } from '../shared/pki/serial.ts';
import { signerFromPkcs8 } from '../shared/pki/signer.ts';
import { type BenchRow, median, report } from './report.ts';

const QUICK = process.argv.includes('--quick');
const ROUND_MS = QUICK ? 300 : 1500;
const ROUNDS = QUICK ? 1 : 5;
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
      tbsDer: unsigned(),
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
  const figures = { issue: [0], bare: [0], build: [0] };
  for (const list of Object.values(figures)) list.length = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    figures.bare.push(await rate(bare));
    figures.issue.push(await rate(issue));
    figures.build.push(await rate(async () => void unsigned()));
  }
  const [ours, peer, built] = [median(figures.issue), median(figures.bare), median(figures.build)];
  return [
    { name: `issued under ${name}`, ours, peer, peerName: 'crypto.sign alone', unit: 'per second' },
    {
      name: `of that, built and linted under ${name}`,
      ours: 1000 / built,
      peer: 1000 / ours,
      peerName: 'the whole of one issue',
      unit: 'ms',
    },
  ];
}

/** How often it is done in a second. */
async function rate(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  let count = 0;
  while (performance.now() - started < ROUND_MS) {
    await work();
    count += 1;
  }
  return (count * 1000) / (performance.now() - started);
}
