/**
 * A hundred thousand and more damaged OCSP requests through the whole handler of the public responder, over POST and in the path of
 * a GET: `node --expose-gc bench/fuzz-ocsp.ts [inputs] [seed]`. A crash is anything thrown, an answer other than HTTP 200, an
 * internalError, or bytes that are no OCSPResponse; a hang is an input that takes over a second; memory is what is held after a
 * collection, in the heap, outside it and by the whole process, at the end over a tenth of the way. Exit status 1 when there is any of the three.
 */
import { createOcsp } from '../functions/ocsp.ts';
import { readOcspResponse } from '../shared/pki/ocsp-reader.ts';
import { mutate, numbersFrom } from '../test/pki/mutations.ts';
import { ocspRequests } from '../test/pki/parsers.ts';
import { NOW } from '../test/pki/sample-authority.ts';
import { ocspStand } from '../test/support/ocsp-stand.ts';
import { fuzzing, fuzzRows, memoryNow } from './fuzzed.ts';
import { report } from './report.ts';

const { inputs, seed } = fuzzing(120_000);

const stand = await ocspStand({ now: NOW });
await stand.answer('7f01', { kind: 'good' });
const log = { info: () => undefined, warning: () => undefined, error: () => undefined };
const handle = createOcsp({ clock: { now: () => NOW }, answers: stand.answers, log });
const samples = ocspRequests(stand.authority.issuing.certificateDer);
const next = numbersFrom(seed);
const answered = new Map<string, number>();
const crashes: string[] = [];
let slowestMs = 0;
let early = await memoryNow();

for (let input = 0; input < inputs; input += 1) {
  const body = Buffer.from(mutate(samples, samples[next(samples.length)] ?? new Uint8Array(), next));
  const started = performance.now();
  try {
    const said = await ask(body, input % 2 === 0);
    answered.set(said, (answered.get(said) ?? 0) + 1);
  } catch (error) {
    crashes.push(
      `${error instanceof Error ? error.stack : String(error)} for ${Buffer.from(body).toString('base64')}`,
    );
  }
  slowestMs = Math.max(slowestMs, performance.now() - started);
  if (input === Math.floor(inputs / 10)) early = await memoryNow();
}
const late = await memoryNow();
for (const crash of crashes.slice(0, 5)) console.error(crash);
const answers = Array.from(answered, ([said, count]) => `${count} ${said}`).join(', ');
const good = report(
  'Damaged OCSP requests',
  fuzzRows({
    inputs,
    crashed: crashes.length,
    slowestMs,
    early,
    late,
    note: `seed ${seed}; answered ${answers}`,
  }),
);
process.exitCode = good ? 0 : 1;

async function ask(body: Buffer, posted: boolean): Promise<string> {
  const answer = await handle({
    method: posted ? 'POST' : 'GET',
    path: posted ? '/ocsp' : `/ocsp/${encodeURIComponent(body.toString('base64'))}`,
    query: new URLSearchParams(),
    headers: {},
    body: posted ? body : Buffer.alloc(0),
  });
  if (answer.status !== 200 || !(answer.body instanceof Uint8Array)) throw new Error(`HTTP ${answer.status}`);
  const { responseStatus } = readOcspResponse(answer.body);
  if (responseStatus === 2) throw new Error('internalError');
  return ['successful', 'malformedRequest', '', 'tryLater', '', '', 'unauthorized'][responseStatus] ?? '?';
}
