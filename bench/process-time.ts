/** Processor time of processes that are not our own, from Linux' process accounting; a benchmark that counts it runs on Linux. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const TICKS_A_SECOND = 100;

/** Of the server, of those of its processes that have ended, and of all that are there. */
export function serverCpuSeconds(postmaster: number): number {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processAt(Number(name)));
  const server = processAt(postmaster);
  if (server === undefined) throw new Error('The private PostgreSQL is gone.');
  return all.reduce(
    (sum, each) => sum + (each?.parent === postmaster ? each.cpuSeconds : 0),
    server.cpuSeconds + server.endedCpuSeconds,
  );
}

/** Undefined for one that has ended. */
export function processAt(
  pid: number,
): { readonly parent: number; readonly cpuSeconds: number; readonly endedCpuSeconds: number } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // Behind the name, which may hold anything: state, parent, …; times from the twelfth on, then those of children that were waited for.
  const fields = text
    .slice(text.lastIndexOf(') ') + 2)
    .split(' ')
    .map(Number);
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15);
  return {
    parent: fields[1] ?? 0,
    cpuSeconds: (user + system) / TICKS_A_SECOND,
    endedCpuSeconds: (endedUser + endedSystem) / TICKS_A_SECOND,
  };
}

export function postmasterOf(connectionString: string): number {
  const folder = new URL(connectionString).searchParams.get('host') ?? '';
  return Number(readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
}
