/**
 * CRLs of 10,000, 100,000 and 1,000,000 entries against `openssl ca -gencrl` over the same entries in the same run:
 * `node bench/crl.ts [--quick] [--json]`. Times are whole processes, from start to file on disk, ours included (one
 * bundled file, as deployed); ours also lints every entry, as it is made and once more before it is signed, and verifies its
 * signature, which openssl does not. The targets are wall time; the note has the processor time of both, for a machine
 * on which others work. Exit status 1 when a target is missed.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { packEntries } from '../shared/domain/packed-entries.ts';
import { createAuthority } from '../shared/pki/authority.ts';
import { EXAMPLE_POLICY_OID } from '../shared/pki/oids.ts';
import { derToPem } from '../shared/pki/pem.ts';
import { drawSerial } from '../shared/pki/serial.ts';
import { BATCHES, revokedIn } from './crl-entries.ts';
import { type BenchRow, median, report } from './report.ts';

const COUNTS = process.argv.includes('--quick') ? [10_000] : [10_000, 100_000, 1_000_000];
const ROUNDS = 3;
const WHAT = {
  cursor: 'from a cursor',
  index: 'from the same index.txt',
  buffer: 'in one buffer, as an intent',
};
type Mode = keyof typeof WHAT;
const MODES = Object.keys(WHAT) as readonly Mode[];

interface Run {
  readonly wallMs: number;
  readonly cpuMs: number;
}

const folder = mkdtempSync(join(tmpdir(), 'sealwright-bench-crl-'));

try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<boolean> {
  if (spawnSync('openssl', ['version']).status !== 0)
    throw new Error('openssl is not installed; there is no peer.');
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
    modulusBits: 2048,
  });
  write('issuing.der', authority.issuing.certificateDer);
  write('issuing.p8', authority.issuing.pkcs8Der);
  write('issuing.pem', derToPem('CERTIFICATE', authority.issuing.certificateDer));
  write('issuing.key', derToPem('PRIVATE KEY', authority.issuing.pkcs8Der));
  write('now.txt', now.toISOString());
  await build({
    entryPoints: [join(import.meta.dirname, 'crl-child.ts')],
    outfile: join(folder, 'crl-child.mjs'),
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
  });
  const rows: BenchRow[] = [];
  for (const count of COUNTS) {
    writeEntries(count, now);
    const peers: Run[] = [];
    const runs: Record<Mode, (Run & { readonly peakMb: number })[]> = { cursor: [], index: [], buffer: [] };
    // In turns, as a busy machine gets busier and quieter.
    for (let round = 0; round < ROUNDS; round += 1) {
      peers.push(gencrl(count));
      for (const mode of MODES) runs[mode].push(child(mode, count));
    }
    const peer = median(peers.map(({ wallMs }) => wallMs));
    for (const mode of MODES) {
      assertSameEntries(mode, count);
      const ours = median(runs[mode].map(({ wallMs }) => wallMs));
      const peak = Math.max(...runs[mode].map(({ peakMb }) => peakMb));
      const cpu = (all: readonly Run[]) => `${(median(all.map(({ cpuMs }) => cpuMs)) / 1000).toFixed(2)} s`;
      const isGoal = count === 1_000_000 && mode === 'cursor';
      rows.push({
        name: `${count.toLocaleString('en')} entries, ${WHAT[mode]}`,
        ours,
        peer,
        peerName: 'openssl ca -gencrl',
        unit: 'ms',
        ...(isGoal ? { target: { atMost: 0.1 } } : {}),
        note: `peak ${peak.toFixed(0)} MB; processor time ${cpu(runs[mode])} to ${cpu(peers)}`,
      });
      if (isGoal) {
        rows.push({
          name: `${count.toLocaleString('en')} entries, peak memory`,
          ours: peak,
          peer: 150,
          peerName: 'the limit of 150 MB',
          unit: 'MB',
          target: { atMost: 1 },
        });
      }
    }
  }
  return report('CRL', rows);
}

function write(name: string, content: Uint8Array | string): void {
  writeFileSync(join(folder, name), content);
}

/** The same revoked serials, with their times, as the ledger gives them for us and as index.txt, with its attributes, for openssl. */
function writeEntries(count: number, now: Date): void {
  const serials = Array.from({ length: count }, () => drawSerial(randomBytes)).toSorted();
  write(
    `entries-${count}.bin`,
    packEntries(
      serials.map((serialHex, index) => ({
        serialHex,
        revokedAt: revokedIn(index % BATCHES, now),
        reason: 'superseded',
      })),
    ),
  );
  const stamp = (at: Date) => `${at.toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`;
  const revoked = Array.from({ length: BATCHES }, (_, batch) => stamp(revokedIn(batch, now)));
  const expiry = stamp(new Date(now.getTime() + 300 * 86_400_000));
  write(
    `index-${count}.txt`,
    serials
      .map(
        (serial, index) =>
          `R\t${expiry}\t${revoked[index % BATCHES]},superseded\t${serial.toUpperCase()}\tunknown\t/CN=${serial}\n`,
      )
      .join(''),
  );
  write(`index-${count}.txt.attr`, 'unique_subject = no\n');
  write(
    `ca-${count}.cnf`,
    [
      '[ca]',
      'default_ca = d',
      '[d]',
      `database = index-${count}.txt`,
      `crlnumber = number-${count}`,
      'default_md = sha256',
      'default_crl_days = 7',
      'crl_extensions = x',
      'unique_subject = no',
      '[x]',
      'authorityKeyIdentifier = keyid',
      '',
    ].join('\n'),
  );
}

function gencrl(count: number): Run {
  write(`number-${count}`, '01\n');
  rmSync(join(folder, `peer-${count}.crl`), { force: true });
  const started = performance.now();
  // The shell says what its child has used, in `0m1.25s 0m0.10s` on its second line.
  const { status, stdout, stderr } = spawnSync(
    'sh',
    [
      ...['-c', '"$@" && times', 'sh', 'openssl', 'ca', '-gencrl', '-config', `ca-${count}.cnf`],
      ...['-cert', 'issuing.pem', '-keyfile', 'issuing.key', '-out', `peer-${count}.crl`],
    ],
    { cwd: folder },
  );
  const wallMs = performance.now() - started;
  if (status !== 0) throw new Error(`openssl ca -gencrl failed: ${stderr.toString()}`);
  const times = stdout.toString().split('\n')[1] ?? '';
  const cpuMs = [...times.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000,
    0,
  );
  return { wallMs, cpuMs };
}

function child(mode: Mode, count: number): Run & { readonly peakMb: number } {
  rmSync(join(folder, `ours-${mode}-${count}.crl`), { force: true });
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [
    join(folder, 'crl-child.mjs'),
    mode,
    String(count),
    folder,
  ]);
  const wallMs = performance.now() - started;
  if (status !== 0) throw new Error(`The child failed: ${stderr.toString()}`);
  return { ...(JSON.parse(stdout.toString()) as { cpuMs: number; peakMb: number }), wallMs };
}

/** Both lists hold the same entries in the same bytes, so the two did the same work. */
function assertSameEntries(mode: string, count: number): void {
  const peer = Buffer.from(
    readFileSync(join(folder, `peer-${count}.crl`), 'latin1').replaceAll(/-----[^-]+-----|\s/g, ''),
    'base64',
  );
  const ours = readFileSync(join(folder, `ours-${mode}-${count}.crl`));
  const first = readFileSync(join(folder, `entries-${count}.bin`)).subarray(1, 19);
  const length = count * 51;
  const listOf = (crl: Buffer) => {
    const at = crl.indexOf(Buffer.concat([Uint8Array.of(0x02, 18), first])) - 2;
    return crl.subarray(at, at + length);
  };
  if (!existsSync(join(folder, `ours-${mode}-${count}.crl`)) || !listOf(peer).equals(listOf(ours))) {
    throw new Error('The two CRLs do not list the same entries; the comparison would mean nothing.');
  }
}
