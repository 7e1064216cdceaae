/**
 * One CRL in a process of its own, so that its memory can be told: `crl-child.ts MODE COUNT FOLDER`. MODE is `cursor`
 * (pages of a thousand entries, as a cursor over the ledger gives them), `index` (OpenSSL's index.txt, read
 * as openssl reads it) or `buffer` (as `cursor`, through the one buffer that an intent records). Prints JSON.
 */
import { createReadStream, openSync, readFileSync, readSync, writevSync } from 'node:fs';
import { join } from 'node:path';
import { madeOffline, recordedPartsInLedger } from '../shared/domain/recorded.ts';
import { buildCrl, type CrlEntry } from '../shared/pki/crl.ts';
import { CrlBuilder } from '../shared/pki/crl-builder.ts';
import { passing, signedParts } from '../shared/pki/crl-parts.ts';
import { issueCrl, issueCrlParts } from '../shared/pki/issue.ts';
import { signerFromPkcs8 } from '../shared/pki/signer.ts';
import { BATCHES, PAGE, PAGE_BYTES, revokedIn } from './crl-entries.ts';

const [, , mode = 'cursor', count = '0', folder = '.'] = process.argv;
const issuerCertificateDer = readFileSync(join(folder, 'issuing.der'));
const signer = signerFromPkcs8(readFileSync(join(folder, 'issuing.p8')), {
  certificateDer: issuerCertificateDer,
});
const now = new Date(readFileSync(join(folder, 'now.txt'), 'utf8'));

/**
 * A thousand entries at a time. Making up a million of them is the benchmark's own work and in its time, so it is cheap: the serials of a
 * page come as one JSON text, as from a driver, the times go round in `BATCHES`, and each page is the same objects again.
 */
function* pages(): Generator<readonly CrlEntry[]> {
  const file = openSync(join(folder, `serials-${count}.json`), 'r');
  const page = Buffer.alloc(PAGE_BYTES);
  const revokedAt = Array.from({ length: BATCHES }, (_, batch) => revokedIn(batch, now));
  const entries = Array.from({ length: PAGE }, (_, index) => ({
    serialHex: '',
    revokedAt: revokedAt[index % BATCHES] ?? now,
    reason: 'superseded' as const,
  }));
  while (readSync(file, page) > 0) {
    const serials = JSON.parse(page.toString('latin1')) as readonly string[];
    let index = 0;
    for (const entry of entries) {
      entry.serialHex = serials[index] ?? '';
      index += 1;
    }
    yield entries;
  }
}

function* oneByOne(): Generator<CrlEntry> {
  for (const page of pages()) yield* page;
}

/** `R <expiry> <revocation>,superseded <SERIAL> unknown <subject>`, tab-separated. */
async function* indexed(): AsyncGenerator<CrlEntry> {
  let rest = '';
  const stream = createReadStream(join(folder, `index-${count}.txt`), {
    encoding: 'latin1',
    highWaterMark: 1 << 18,
  });
  for await (const chunk of stream) {
    const text = rest + String(chunk);
    let from = 0;
    for (let to = text.indexOf('\n'); to >= 0; to = text.indexOf('\n', from)) {
      const [, , revoked = '', serial = ''] = text.slice(from, to).split('\t');
      yield { serialHex: serial.toLowerCase(), revokedAt: opensslTime(revoked), reason: 'superseded' };
      from = to + 1;
    }
    rest = text.slice(from);
  }
}

const two = (text: string, at: number) => Number(text.slice(at, at + 2));

/** `YYMMDDHHMMSSZ,reason`. */
const opensslTime = (text: string): Date =>
  new Date(
    Date.UTC(2000 + two(text, 0), two(text, 2) - 1, two(text, 4), two(text, 6), two(text, 8), two(text, 10)),
  );

async function parts(): Promise<readonly Uint8Array[]> {
  const request = { issuerCertificateDer, crlNumber: 1n, now };
  const signed = { issuerCertificateDer, signer, signingTime: now };
  if (mode === 'buffer') {
    const { tbsDer } = buildCrl({ ...request, entries: oneByOne() });
    return [await issueCrl({ ...signed, tbsDer: madeOffline(tbsDer) })];
  }
  const builder = new CrlBuilder(request);
  const blocks: Uint8Array[] = [];
  if (mode === 'index') for await (const entry of indexed()) builder.append(entry);
  else
    for (const page of pages()) {
      builder.appendAll(page);
      blocks.push(...builder.takeFinished());
    }
  blocks.push(...builder.takeRest());
  const { head, tail } = builder.around();
  const tbs = [head, ...blocks, tail];
  const { endDer } = await issueCrlParts({
    ...signed,
    tbsParts: recordedPartsInLedger(passing(tbs, () => undefined)),
  });
  const all: Uint8Array[] = [];
  for await (const part of signedParts(tbs, endDer)) all.push(part);
  return all;
}

/** VmHWM rather than ru_maxrss, which on Linux begins with what the parent had when it forked. */
function peakMb(): number {
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
    if (kilobytes !== undefined) return Number(kilobytes) / 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS / 1024;
}

const made = await parts();
writevSync(openSync(join(folder, `ours-${mode}-${count}.crl`), 'w'), made);
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ cpuMs: (user + system) / 1000, peakMb: peakMb() }));
