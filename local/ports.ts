import { createServer } from 'node:net';
import { PORT_OFFSETS } from './company.ts';

const COUNT = Math.max(...Object.values(PORT_OFFSETS)) + 1;

/**
 * The first base from 20,000 up, in steps, whose ports are all free on loopback now. It begins below the ports that the
 * system itself hands out to whoever connects: one of those could be taken between this look and listening.
 */
export async function freePortBase(): Promise<number> {
  const start = 20_000 + (process.pid % 600) * 20;
  for (let base = start; base < 60_000; base += COUNT) {
    const free = await Promise.all(Array.from({ length: COUNT }, (_, offset) => isFree(base + offset)));
    if (free.every(Boolean)) return base;
  }
  throw new Error(`No ${COUNT} free ports in a row were found on 127.0.0.1.`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
