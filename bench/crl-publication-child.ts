/** One side of `bench/crl-publication.ts` in a process of its own: `publish FOLDER`, which forks `sign FOLDER`. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openPostgresLedger } from '../shared/adapters/ledger/open.ts';
import { isCurrent, publishCrl } from '../shared/authority/publish-crl.ts';
import { signCrlIntent } from '../shared/authority/sign.ts';
import { signerFromPkcs8 } from '../shared/pki/signer.ts';
import type { Bucket } from '../shared/ports/bucket.ts';
import type { ChildReport } from './crl-publication.ts';

const ISSUER_ID = 'issuing-1';
const [, , role = 'publish', folder = '.'] = process.argv;
const clock = { now: () => new Date() };
const ledger = await openPostgresLedger({ clock, connectionString: process.env['DATABASE_URL'] ?? '' });
const log = { info: () => undefined, warning: () => undefined, error: () => undefined };

function status(field: 'VmHWM' | 'VmRSS'): number {
  const text = readFileSync('/proc/self/status', 'latin1');
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(text)?.[1] ?? Number.NaN) / 1024;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** One object in a file; its time of change is its generation. */
function fileBucket(): Bucket {
  const path = join(folder, 'object');
  const generation = () => (existsSync(path) ? String(Math.ceil(statSync(path).mtimeMs * 1000)) : '0');
  return {
    read: async () =>
      existsSync(path) ? { bytes: readFileSync(path), generation: generation() } : undefined,
    readParts: async () =>
      existsSync(path)
        ? { parts: createReadStream(path, { highWaterMark: 1 << 20 }), generation: generation() }
        : undefined,
    write: async ({ bytes, ifGeneration }) => {
      if (ifGeneration !== generation()) throw new Error('Somebody else wrote.');
      await pipeline(typeof bytes === 'function' ? bytes : [bytes], createWriteStream(path));
      return { generation: generation() };
    },
  };
}

async function sign(): Promise<void> {
  const signer = signerFromPkcs8(readFileSync(join(folder, 'issuing.p8')));
  const deps = { clock, ledger, caKeys: { signerOf: async () => signer } };
  const atRestMb = status('VmRSS');
  process.on('message', async (message: { crlNumber: string } | 'report') => {
    if (message === 'report') {
      const report: ChildReport = { peakMb: status('VmHWM'), atRestMb, publicationMs: [], currentMs: 0 };
      process.send?.(report);
      return;
    }
    await signCrlIntent(deps, ISSUER_ID, BigInt(message.crlNumber));
    process.send?.('signed');
  });
  process.once('disconnect', () => process.exit(0));
  process.send?.('ready');
}

const ask = async (child: ChildProcess, message: object | string): Promise<unknown> => {
  child.send(message);
  const ended = once(child, 'exit').then(() => {
    throw new Error('The child that signs ended.');
  });
  const [answer] = (await Promise.race([once(child, 'message'), ended])) as [unknown];
  return answer;
};

async function publish(): Promise<void> {
  const signing = fork(import.meta.filename, ['sign', folder]);
  await once(signing, 'message');
  const issuer = await ledger.readIssuer(ISSUER_ID);
  if (issuer === undefined) throw new Error('The ledger has no issuer.');
  const refuse = () => Promise.reject(new Error('Not in this benchmark.'));
  const deps = {
    clock,
    ledger,
    log,
    bucket: fileBucket(),
    signing: {
      signLeaf: refuse,
      signOcspSigner: refuse,
      signOcspBatch: refuse,
      signAuditSigner: refuse,
      signCheckpoint: refuse,
      signCrl: async (_issuerId: string, crlNumber: bigint) => {
        await ask(signing, { crlNumber: String(crlNumber) });
      },
    },
  };
  const atRestMb = status('VmRSS');
  const cause = { eventId: 'bench', event: 'bench' };
  const publicationMs = [
    await timed(() => publishCrl(deps, issuer, cause)),
    await timed(() => publishCrl(deps, issuer, cause)),
  ];
  process.send?.('ready for a revocation');
  await once(process, 'message');
  if (await isCurrent(deps, ISSUER_ID)) throw new Error('Somebody is revoked and it is called current.');
  publicationMs.push(await timed(() => publishCrl(deps, issuer, cause)));
  const currentMs = await timed(async () => {
    if (!(await isCurrent(deps, ISSUER_ID))) throw new Error('It is published and not current.');
  });
  const report: ChildReport = { peakMb: status('VmHWM'), atRestMb, publicationMs, currentMs };
  process.send?.({ publish: report, sign: await ask(signing, 'report') });
  signing.disconnect();
  await ledger.close();
  process.disconnect();
}

await (role === 'sign' ? sign() : publish());
