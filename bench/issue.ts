/**
 * Certificates per second against the bare signature with the same key in the same run: `node bench/issue.ts [--quick] [--json]`.
 * One issue is what the functions do: build and lint, commit the intent to the ledger, then what `sign` does with its serial: read
 * the intent again, lint, sign, compare, verify, record. Further rows say where the time goes. No network between the two, no key
 * generation, nothing of Gmail.
 *
 * The ledger is a PostgreSQL (`DATABASE_URL` with a schema of its own there, or a private cluster), else the embedded one, and the
 * rows say which. All of it is wall time, as the ledger's is another process's: medians of each part over many issues, one after the
 * other and in turns with the peer, so that a busy machine tells on both.
 *
 * On a busy machine processor time says more: it is this process's own, without what PostgreSQL takes.
 *
 * Enough is what Gmail's quota can take: a hundred a second. There is no target, as the figure is the machine's.
 */
import { createHash, createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto';
import { openEmbeddedLedger, openPostgresLedger } from '../shared/adapters/ledger/open.ts';
import { signLeafIntent } from '../shared/authority/sign.ts';
import type { IssuerRecord } from '../shared/domain/records.ts';
import { SIGNATURE_ALGORITHMS } from '../shared/pki/algorithm.ts';
import { createAuthority } from '../shared/pki/authority.ts';
import { addressesOf } from '../shared/pki/issuer-addresses.ts';
import { generateRsaKey } from '../shared/pki/key.ts';
import { buildLeaf } from '../shared/pki/leaf.ts';
import { lintCertificate } from '../shared/pki/lint.ts';
import { EXAMPLE_POLICY_OID } from '../shared/pki/oids.ts';
import { DUAL_USE_RSA } from '../shared/pki/profile.ts';
import { drawSerial } from '../shared/pki/serial.ts';
import { signerFromPkcs8 } from '../shared/pki/signer.ts';
import type { Lease, Ledger } from '../shared/ports/ledger.ts';
import { findPrograms, startCluster } from '../test/postgres/cluster.ts';
import { makePlace } from '../test/postgres/place.ts';
import { type BenchRow, median, report } from './report.ts';

const QUICK = process.argv.includes('--quick');
const ROUNDS = QUICK ? 2 : 12;
/** Issues of one round. */
const ROUND = 32;
const AT_ONCE = 16;
const GMAIL_PER_SECOND = 100;
const ISSUERS = [
  { name: 'RSA-2048', modulusBits: 2048 },
  { name: 'RSA-4096', modulusBits: 4096 },
  { name: 'P-256', curve: 'P-256' },
  { name: 'P-384', curve: 'P-384' },
] as const;
const clock = { now: () => new Date() };

interface OpenLedger {
  readonly name: string;
  readonly ledger: Ledger;
  readonly close: () => Promise<void>;
}

/** What gives out ledgers, each empty: an issuer is the only active one of its ledger. */
function ledgers(): { readonly open: () => Promise<OpenLedger>; readonly end: () => void } {
  const programs = findPrograms();
  const given = process.env['DATABASE_URL'] ?? '';
  if (given === '' && programs === undefined) {
    return {
      open: async () => {
        const ledger = await openEmbeddedLedger({ clock });
        return { name: 'the embedded ledger', ledger, close: () => ledger.close() };
      },
      end: () => undefined,
    };
  }
  const cluster = given !== '' || programs === undefined ? undefined : startCluster(programs);
  if (cluster !== undefined) process.env['DATABASE_URL'] = cluster.connectionString;
  return {
    open: async () => {
      const place = await makePlace();
      const { connectionString } = place;
      const ledger = await openPostgresLedger({
        ...{ clock, connectionString, migrate: true, maxConnections: AT_ONCE },
      });
      const close = async () => {
        await ledger.close();
        await place.remove();
      };
      return { name: 'PostgreSQL', ledger, close };
    },
    end: () => cluster?.remove(),
  };
}

interface User {
  readonly lease: Lease;
  readonly userId: string;
  readonly keyId: string;
  readonly spkiDer: Uint8Array;
}

async function enrol(ledger: Ledger, userId: string): Promise<User> {
  const { spkiDer } = await generateRsaKey(2048);
  const lease = await ledger.acquireLease(`user:${userId}`, 3_600_000);
  if (lease === undefined) throw new Error('The lease is not free.');
  const keyId = `key-${userId}`;
  await ledger.recordSighting(lease, { userId, primaryEmail: addressOf(userId), aliases: [] });
  await ledger.recordKey(lease, {
    ...{ keyId, userId, spkiDer, purpose: 'dual-use', modulusBits: 2048, proof: 'proven' },
    spkiSha256Hex: createHash('sha256').update(spkiDer).digest('hex'),
    keyServiceUrl: 'https://kacls.acme.example',
    wrappedKey: 'blob',
  });
  return { lease, userId, keyId, spkiDer };
}

const addressOf = (userId: string) => `user${userId}@acme.example`;

/** Milliseconds of each part, by issue. */
type Part = 'build' | 'commit' | 'read' | 'record' | 'whole' | 'lint' | 'sign' | 'verify';
type Times = Readonly<Record<Part, number[]>>;
const noTimes = (): Times => ({
  ...{ build: [], commit: [], read: [], record: [], whole: [], lint: [], sign: [], verify: [] },
});

async function timed<Result>(into: number[], work: () => Result | Promise<Result>): Promise<Result> {
  const started = performance.now();
  const result = await work();
  into.push(performance.now() - started);
  return result;
}

async function measure(
  { ledger, name: ledgerName }: OpenLedger,
  { name, ...keys }: (typeof ISSUERS)[number],
): Promise<readonly BenchRow[]> {
  const now = new Date();
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
  const issuer: IssuerRecord = {
    issuerId: 'issuing-1',
    certificateDer,
    chainDer: [authority.root.certificateDer],
    keyVersion: 'projects/p/secrets/s/versions/1',
    crlUrl: 'http://pki.acme.example/issuing.crl',
    issuerUrl: 'http://pki.acme.example/issuing.cer',
    state: 'active',
  };
  await ledger.recordIssuer(issuer);
  for (const address of addressesOf(issuer)) {
    const check = { ...address, sha256Hex: '0'.repeat(64), found: 'as expected' };
    await ledger.recordAddressCheck(issuer.issuerId, check);
  }
  const users = await Promise.all(
    Array.from({ length: AT_ONCE }, (_, index) => enrol(ledger, String(1000 + index))),
  );
  const signer = signerFromPkcs8(pkcs8Der, { certificateDer });
  const times = noTimes();

  const issue = async (user: User, into: Times | undefined) => {
    const of = into ?? noTimes();
    await timed(of.whole, async () => {
      const unsigned = await timed(of.build, () =>
        buildLeaf({
          issuer,
          spkiDer: user.spkiDer,
          addresses: [addressOf(user.userId)],
          serialHex: drawSerial(randomBytes),
          now: new Date(),
          validityDays: 365,
        }),
      );
      const intent = { ...unsigned, issuerId: issuer.issuerId, userId: user.userId, keyId: user.keyId };
      await timed(of.commit, () => ledger.recordLeafIntent(user.lease, intent));
      await signLeafIntent(
        {
          clock,
          ledger: {
            ...ledger,
            readLeafToSign: (serialHex) => timed(of.read, () => ledger.readLeafToSign(serialHex)),
            recordSignedLeaf: (serialHex, leafDer) =>
              timed(of.record, () => ledger.recordSignedLeaf(serialHex, leafDer)),
          },
          caKeys: { signerOf: async () => signer },
        },
        unsigned.serialHex,
      );
    });
  };

  const key = createPrivateKey({ key: Buffer.from(pkcs8Der), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(key);
  const [user = await enrol(ledger, '1')] = users;
  const sample = buildLeaf({
    ...{ issuer, spkiDer: user.spkiDer, addresses: [addressOf(user.userId)], now, validityDays: 365 },
    serialHex: drawSerial(randomBytes),
  }).tbsDer;
  const { hash } = SIGNATURE_ALGORITHMS[signer.algorithm];
  const signature = sign(hash, sample, key);
  const context = { profile: DUAL_USE_RSA, issuerCertificateDer: certificateDer, signingTime: now };
  const together: number[] = [];
  /** Of this process, by issue. */
  const processorMs: number[] = [];
  await issue(user, undefined);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let count = 0; count < ROUND; count += 1) {
      await issue(user, times);
      await timed(times.sign, () => sign(hash, sample, key));
      await timed(times.lint, () => lintCertificate(sample, context));
      await timed(times.verify, () => verify(hash, sample, publicKey, signature));
    }
    const all: number[] = [];
    const started = process.cpuUsage();
    await timed(all, () =>
      Promise.all(
        users.map(async (one) => {
          for (let count = 0; count < ROUND / 4; count += 1) await issue(one, undefined);
        }),
      ),
    );
    const { user: inUser, system } = process.cpuUsage(started);
    processorMs.push((inUser + system) / 1000 / (users.length * (ROUND / 4)));
    together.push((users.length * (ROUND / 4) * 1000) / (all[0] ?? Number.NaN));
  }
  const wholeMs = median(times.whole);
  const rate = median(together);
  const share = (what: string, ms: number): BenchRow => ({
    name: `of that, ${what}`,
    ours: ms,
    peer: wholeMs,
    peerName: 'the whole of one issue',
    unit: 'ms',
  });
  const known = { ...times, whole: [] };
  const parts = Object.values(known).reduce((sum, all) => sum + (all.length === 0 ? 0 : median(all)), 0);
  return [
    {
      name: `issued under ${name} over ${ledgerName}, one after the other`,
      ours: 1000 / wholeMs,
      peer: 1000 / median(times.sign),
      peerName: 'crypto.sign alone',
      unit: 'per second',
    },
    {
      name: `issued under ${name} over ${ledgerName}, ${AT_ONCE} at once`,
      ours: rate,
      peer: GMAIL_PER_SECOND,
      peerName: 'what Gmail’s quota takes',
      unit: 'per second',
    },
    {
      name: 'processor time of one issue, the ledger’s process aside',
      ours: median(processorMs),
      peer: median(times.sign),
      peerName: 'crypto.sign alone',
      unit: 'ms',
    },
    share('built and linted before it is recorded', median(times.build)),
    share('intent committed to the ledger', median(times.commit)),
    share('intent, issuer and its addresses read again', median(times.read)),
    share('linted again before it is signed', median(times.lint)),
    share('signed', median(times.sign)),
    share('verified, once by the signer and once as a certificate', 2 * median(times.verify)),
    share('certificate recorded in the ledger', median(times.record)),
    share('everything else', wholeMs - parts - median(times.verify)),
  ];
}

const rows: BenchRow[] = [];
const source = ledgers();
try {
  for (const issuer of ISSUERS) {
    const opened = await source.open();
    try {
      rows.push(...(await measure(opened, issuer)));
    } finally {
      await opened.close();
    }
  }
} finally {
  source.end();
}
report('Issuing', rows);
