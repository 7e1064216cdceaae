/** One process of the sweep's benchmark: `parse` parses every page and nothing else, `sweep` runs a whole sweep, in one of the cases. */
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { systemClock } from '../shared/adapters/clock/system-clock.ts';
import { PageReader } from '../shared/adapters/directory/page-reader.ts';
import { toDeletedPage, toMembersPage } from '../shared/adapters/directory/wire.ts';
import { openPostgresLedger } from '../shared/adapters/ledger/open.ts';
import { parsePolicy } from '../shared/config/policy.ts';
import { pinnedPolicy } from '../shared/domain/policy-pins.ts';
import type { UsersPage } from '../shared/ports/directory.ts';
import type { SweepDeps } from '../shared/sources/sweep/context.ts';
import { tick } from '../shared/sources/sweep/tick.ts';
import { type Case, EXCLUDED, ORG_UNITS, type SweepAnswer, userAt } from './sweep-users.ts';

const [, , mode, kind, folder = '', connectionString = ''] = process.argv;
let readingMs = 0;
/** Processor time of it, microseconds. */
let readingCpu = 0;
let parseMs = 0;

/** Pages are read into the same bytes, or else collecting those would be counted as ours. */
const pageBytes = Buffer.alloc(1 << 20);

/** A page as it comes; the time it takes is not ours. */
function readBytes(...path: readonly string[]): Uint8Array {
  return unmeasured(() => {
    const file = openSync(join(folder, ...path), 'r');
    const length = readSync(file, pageBytes);
    closeSync(file);
    return pageBytes.subarray(0, length);
  });
}

/** A page's text, likewise. */
function read(...path: readonly string[]): string {
  return unmeasured(() => readFileSync(join(folder, ...path), 'utf8'));
}

function unmeasured<T>(work: () => T): T {
  const [started, cpuBefore] = [performance.now(), process.cpuUsage()];
  const done = work();
  const { user, system } = process.cpuUsage(cpuBefore);
  readingCpu += user + system;
  readingMs += performance.now() - started;
  return done;
}

/** About a millisecond of pages. */
const PAGES_A_TURN = 4;
const reader = new PageReader();

function readPage(bytes: Uint8Array): UsersPage {
  const started = performance.now();
  const page = reader.read(bytes);
  parseMs += performance.now() - started;
  return page;
}

function parse<T>(text: string): T {
  const started = performance.now();
  const value = JSON.parse(text) as T;
  parseMs += performance.now() - started;
  return value;
}

const spent = { loadMs: 0, checkpointMs: 0, closeMs: 0 };
const hinted = new Set<string>();

async function sweep(deps: SweepDeps): Promise<void> {
  // The overview is asked for twice: when the tick begins, and when both lists are read and the closing begins.
  let closingSince = 0;
  const ledger = new Proxy(deps.ledger, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...parameters: readonly unknown[]) => {
        const started = performance.now();
        if (name === 'sweepOverview') closingSince = started;
        const answer: unknown = Reflect.apply(value, target, parameters);
        if (!(answer instanceof Promise)) return answer;
        return answer.finally(() => {
          const tookMs = performance.now() - started;
          if (name === 'sweptUsers' || name === 'recordSweepProgress' || name === 'queueHints')
            spent.checkpointMs += tookMs;
          if (name === 'endSweep') spent.closeMs = performance.now() - closingSince;
          if (name === 'renewLease' && spent.loadMs === 0) spent.loadMs = performance.now() - begunMs;
        });
      };
    },
  });
  await tick({ ...deps, ledger });
}

/** Read when an instance starts, and not for each sweep. */
const policy = policyOf(kind as Case);

function policyOf(kind: Case) {
  const rule = (more: string) =>
    parsePolicy(
      `version: 1\nrules:\n  - name: staff\n    keyService: https://kacls.acme.example\n    ${more}\n`,
    );
  switch (kind) {
    case 'unit':
      return rule('orgUnit: /Staff');
    case 'named': {
      const names = [
        'break.glass@acme.example',
        '"900000000000000000000"',
        userAt(EXCLUDED).known?.aliases[0],
      ];
      return rule(`orgUnit: /Staff\n    exclude: { users: [${names.join(', ')}] }`);
    }
    case 'group':
      return pinnedPolicy(rule('group: staff@acme.example'), {
        units: {},
        groups: { 'staff@acme.example': 'staff' },
      });
    default:
      return kind satisfies never;
  }
}

function parsePages(folder: string): void {
  for (let page = 0; ; page += 1) {
    const { nextPageToken } = parse<{ nextPageToken?: string }>(read(folder, `${page}.json`));
    if (nextPageToken === undefined) break;
  }
}

/** Where the network would be: everything else gets its turn, and reads what came meanwhile. */
async function turn(pageToken: string): Promise<void> {
  if (Number(pageToken) % PAGES_A_TURN === 0) await setImmediate();
}

/** As the policy: an instance, which the schedule calls every minute, has its connections already. */
const ledger =
  mode === 'parse' ? undefined : await openPostgresLedger({ connectionString, clock: systemClock });

const begunMs = performance.now();
const cpu = process.cpuUsage();
if (ledger === undefined) {
  if (kind === 'group') parsePages('members');
  parsePages('living');
} else {
  await sweep({
    clock: systemClock,
    elapsedMs: () => performance.now(),
    ledger,
    directory: {
      livingPage: async ({ pageToken = '0' }) => {
        await turn(pageToken);
        return readPage(readBytes('living', `${pageToken}.json`));
      },
      deletedPage: async () => toDeletedPage(parse(read('deleted.json'))),
      orgUnits: async () =>
        ORG_UNITS.map((path) => ({
          ...{ orgUnitId: `id:${path}`, path },
          ...(path === '/' ? {} : { parentId: `id:${path.slice(0, path.lastIndexOf('/')) || '/'}` }),
        })),
      group: async (groupId) => ({ groupId, address: 'staff@acme.example' }),
      membersPage: async ({ groupId, pageToken = '0' }) => {
        await turn(pageToken);
        return toMembersPage(groupId, parse(read('members', `${pageToken}.json`)));
      },
    },
    bus: {
      publishHints: async (hints) => {
        for (const hint of hints) if ('userId' in hint) hinted.add(hint.userId);
      },
    },
    policy,
    log: { info: () => undefined, warning: () => undefined, error: () => undefined },
    intervalMs: 0,
    budgetMs: 600_000,
    lookByAgeMs: 7 * 86_400_000,
    // As deployed: joiners go out in waves, the first of them now and the others in the minutes that follow.
    hintsPerMinute: 400,
  });
  const { lastWhole } = await ledger.sweepOverview();
  if (lastWhole === undefined) throw new Error('The sweep was not whole.');
}
const { user, system } = process.cpuUsage(cpu);
const answer: SweepAnswer = {
  ms: performance.now() - begunMs - readingMs,
  cpuMs: (user + system - readingCpu) / 1000,
  peakMb: process.resourceUsage().maxRSS / 1024,
  parseMs,
  ...spent,
};
writeFileSync(join(folder, 'hinted.json'), JSON.stringify([...hinted]));
process.stdout.write(JSON.stringify(answer));
await ledger?.close();
