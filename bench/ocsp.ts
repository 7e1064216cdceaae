/**
 * OCSP answers per second, signed ahead of time, against a handler of the functions framework that gives out constant bytes, in the
 * same run: `node bench/ocsp.ts [--quick] [--json]`. Each server has a process of its own; both are asked the same questions over
 * kept connections in pairs of rounds, and the median of the pairs' ratios counts. A server is one thread, so what it can answer is a
 * second divided by the processor time of one answer; that is what is compared, because the time of the clock also tells
 * about whatever else the machine does.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type BenchRow, median, report } from './report.ts';

const QUICK = process.argv.includes('--quick');
const ROUND_MS = QUICK ? 300 : 500;
const ROUNDS = QUICK ? 5 : 25;
const WARM_UP = QUICK ? 2 : 4;
const CONNECTIONS = 16;
/** The goal: four fifths of what the framework itself can do. */
const TARGET = { atLeast: 0.8 } as const;

interface Server {
  readonly port: number;
  readonly requests: readonly string[];
  /** Processor time used so far, in seconds. */
  readonly cpuSeconds: () => Promise<number>;
  readonly stop: () => void;
}

async function start(which: 'bare' | 'ocsp'): Promise<Server> {
  const child = fork(join(import.meta.dirname, 'ocsp-child.ts'), [which]);
  const [told] = (await once(child, 'message')) as [Pick<Server, 'port' | 'requests'>];
  const cpuSeconds = async () => {
    child.send('cpu');
    const [{ cpuMicroseconds }] = (await once(child, 'message')) as [{ cpuMicroseconds: number }];
    return cpuMicroseconds / 1e6;
  };
  return { ...told, cpuSeconds, stop: () => child.disconnect() };
}

const get = (request: string): Buffer =>
  Buffer.from(`GET /ocsp/${encodeURIComponent(request)} HTTP/1.1\r\nhost: pki.acme.example\r\n\r\n`);

function post(request: string): Buffer {
  const body = Buffer.from(request, 'base64');
  const head = `POST /ocsp HTTP/1.1\r\nhost: pki.acme.example\r\ncontent-type: application/ocsp-request\r\ncontent-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** Answers per second of the server's processor time, over one round. */
async function round({ port, cpuSeconds }: Server, messages: readonly Buffer[]): Promise<number> {
  let answered = 0;
  let turn = 0;
  const sockets: Socket[] = [];
  const ask = (socket: Socket) => {
    turn += 1;
    socket.write(messages[turn % messages.length] ?? Buffer.alloc(0));
  };
  const open = async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.setNoDelay(true);
    let waiting: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
      const end = wholeAnswer(waiting);
      if (end === undefined) return;
      waiting = waiting.subarray(end);
      answered += 1;
      ask(socket);
    });
    sockets.push(socket);
  };
  for (let index = 0; index < CONNECTIONS; index += 1) await open();
  const before = await cpuSeconds();
  for (const socket of sockets) ask(socket);
  await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
  const perSecond = answered / ((await cpuSeconds()) - before);
  for (const socket of sockets) socket.destroy();
  return perSecond;
}

/** Where the first answer ends; throws for one that is not 200. */
function wholeAnswer(bytes: Buffer): number | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  if (!head.startsWith('HTTP/1.1 200')) throw new Error(`The server answered ${head.slice(0, 40)}`);
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
  const end = headEnd + 4 + length;
  return bytes.length >= end ? end : undefined;
}

async function measure(name: string, message: (request: string) => Buffer): Promise<BenchRow> {
  const bare: number[] = [];
  const ratios: number[] = [];
  const messages = { bare: servers.bare.requests.map(message), ocsp: servers.ocsp.requests.map(message) };
  const measured = async (which: 'bare' | 'ocsp') => await round(servers[which], messages[which]);
  // The first rounds are for the compiler.
  for (let index = -WARM_UP; index < ROUNDS; index += 1) {
    // Each round of ours is set beside one of the peer's right before or after it, since the machine is not alike for
    // long; and who comes first changes.
    const peerFirst = index % 2 === 0;
    const before = peerFirst ? await measured('bare') : Number.NaN;
    const ours = await measured('ocsp');
    const peer = peerFirst ? before : await measured('bare');
    if (index < 0) continue;
    bare.push(peer);
    ratios.push(ours / peer);
  }
  return {
    name,
    ours: median(bare) * median(ratios),
    peer: median(bare),
    peerName: 'a bare handler of the functions framework',
    unit: 'per CPU second',
    target: TARGET,
    note: `median of ${ROUNDS} pairs of rounds, the middle half ${quantile(ratios, 0.25).toFixed(2)} to ${quantile(ratios, 0.75).toFixed(2)}`,
  };
}

const quantile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.round((sorted.length - 1) * share)] ?? Number.NaN;
};

const servers = { bare: await start('bare'), ocsp: await start('ocsp') };
const rows = [await measure('OCSP over GET', get), await measure('OCSP over POST', post)];
for (const server of Object.values(servers)) server.stop();
process.exitCode = report('OCSP answers signed ahead of time', rows) ? 0 : 1;
