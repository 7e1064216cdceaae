/**
 * One CRL in a process of its own, so that its memory can be told: `crl-child.ts MODE COUNT FOLDER`. MODE is `cursor`
 * (pages of entries in the form in which the ledger hands them out), `index` (OpenSSL's index.txt, read
 * as openssl reads it) or `buffer` (as `cursor`, through the one buffer that an intent records). Prints JSON.
 */
import { createReadStream, openSync, readFileSync, readSync, writevSync } from 'node:fs';
import { join } from 'node:path';
import { madeOffline, recordedPartsInLedger } from '../shared/domain/recorded.ts';
import { buildCrl, type CrlEntry } from '../shared/pki/crl.ts';
import { CrlBody } from '../shared/pki/crl-body.ts';
import { CrlBuilder } from '../shared/pki/crl-builder.ts';
import { passing, signedParts } from '../shared/pki/crl-parts.ts';
import { issueCrl, issueCrlParts } from '../shared/pki/issue.ts';
import { signerFromPkcs8 } from '../shared/pki/signer.ts';
import { PAGE_BYTES } from './crl-entries.ts';

const [, , mode = 'cursor', count = '0', folder = '.'] = process.argv;
const issuerCertificateDer = readFileSync(join(folder, 'issuing.der'));
const signer = signerFromPkcs8(readFileSync(join(folder, 'issuing.p8')), {
  certificateDer: issuerCertificateDer,
});
const now = new Date(readFileSync(join(folder, 'now.txt'), 'utf8'));

/** A page at a time, in one buffer. */
function* pages(): Generator<Uint8Array> {
  const file = openSync(join(folder, `entries-${count}.bin`), 'r');
  const page = Buffer.alloc(PAGE_BYTES);
  for (let length = readSync(file, page); length > 0; length = readSync(file, page))
    yield page.subarray(0, length);
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
    const entries = new CrlBody();
    for (const page of pages()) entries.appendPacked(page);
    const { tbsDer } = buildCrl({ ...request, entries });
    return [await issueCrl({ ...signed, tbsDer: madeOffline(tbsDer) })];
  }
  const builder = new CrlBuilder(request);
  const blocks: Uint8Array[] = [];
  if (mode === 'index') for await (const entry of indexed()) builder.append(entry);
  else
    for (const page of pages()) {
      builder.appendPacked(page);
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
