/** From the event to the revocation after a grace period, as an auditor finds it: in both exports, and in sentences. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keepCheckpoints } from '../../shared/authority/checkpoint.ts';
import type { DirectoryUser } from '../../shared/domain/directory-user.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { sealwright, TOKEN } from '../cli/sealwright.ts';
import { type Served, serveHandler } from '../functions/support/served.ts';
import { adminOver } from '../support/admin.ts';
import { createWorld, DAY_MS, makeMaterials, type World } from '../support/fakes/world.ts';

const DAY_S = DAY_MS / 1000;

interface Departure {
  readonly userId: string;
  readonly leaves: Partial<DirectoryUser>;
  readonly event: string;
  readonly graceSeconds: number;
  readonly reason: string;
}

const DEPARTURES: readonly Departure[] = [
  {
    userId: '1',
    leaves: { orgUnitPath: '/Elsewhere' },
    event: 'MOVE_USER_TO_ORG_UNIT',
    graceSeconds: DAY_S,
    reason: 'affiliationChanged after',
  },
  {
    userId: '2',
    leaves: { archived: true },
    event: 'ARCHIVE_USER',
    graceSeconds: DAY_S,
    reason: 'affiliationChanged after',
  },
  {
    userId: '3',
    leaves: { suspended: true },
    event: 'SUSPEND_USER',
    graceSeconds: 30 * DAY_S,
    reason: 'privilegeWithdrawn after',
  },
];

let world: World;
let served: Served;
let environment: Record<string, string>;

beforeAll(async () => {
  world = await createWorld(await makeMaterials());
  const admin = adminOver(world);
  served = await serveHandler(admin, world.log);
  environment = { SEALWRIGHT_ADMIN_URL: served.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN };
  for (const { userId } of DEPARTURES) {
    world.directory.put({ userId });
    await look(userId, 'CREATE_USER');
  }
  for (const { userId, leaves, event } of DEPARTURES) {
    world.directory.put({ userId, ...leaves });
    await look(userId, event);
  }
});
afterAll(async () => {
  await served.close();
  await world.close();
});

/** Two seconds after what an admin did. */
const look = (userId: string, event: string) =>
  reconcile(world.deps, userId, {
    source: 'audit',
    eventId: `insert-${event}`,
    event,
    actor: 'admin@acme.example',
    at: new Date(world.clock.now().getTime() - 2_000),
  });

const explained = async (userId: string) => (await sealwright(['explain', userId], environment)).stdout;

async function exported(userId: string, format: 'jsonl' | 'csv'): Promise<string> {
  const words = ['audit', 'export', '--user', userId, ...(format === 'csv' ? ['--format', 'csv'] : [])];
  const { exit, stdout, stderr } = await sealwright(words, environment);
  expect([exit, stderr]).toEqual([0, expect.not.stringContaining('rror')]);
  return stdout;
}

describe('the trail of a user who leaves with a grace period', () => {
  it.each(DEPARTURES)('says of $leaves which event began it, while it runs', async ({ userId, event }) => {
    expect(await explained(userId)).toMatch(
      new RegExp(
        `Leaving began with the audit log entry ${event} by admin@acme\\.example \\(insert-${event}\\) at .*; the grace period ends at `,
      ),
    );
  });

  it.each(DEPARTURES)(
    'ties the revocation of $leaves to that event, and tells the grace period from the delay',
    async ({ userId, event, graceSeconds, reason }) => {
      const started = (await world.ledger.readUser(userId)).user?.since ?? new Date(0);
      world.clock.set(new Date(started.getTime() + graceSeconds * 1000 + 5_000));
      await reconcile(world.deps, userId, { source: 'due', eventId: 'tick-1', event: 'revoke' });
      world.clock.advance(30_000);
      await world.publishCrl();

      const lines = (await exported(userId, 'jsonl')).trim().split('\n');
      const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      const [begun] = entries.filter(({ step }) => step === 'leave-begun');
      const [revoked] = entries.filter(({ step }) => step === 'revoke-leaf');
      const cause = { source: 'audit', event, eventId: `insert-${event}`, actor: 'admin@acme.example' };
      expect(begun).toMatchObject({ cause });
      expect(revoked).toMatchObject({
        cause: { source: 'due', eventId: 'tick-1' },
        revocation: {
          secondsFromEvent: 2 + graceSeconds + 5,
          secondsFromEventToCrl: 2 + graceSeconds + 35,
          grace: {
            seconds: graceSeconds,
            secondsToRevocation: 5,
            secondsToCrl: 35,
          },
          eventTimeFrom: 'source',
          begunBy: { entry: begun?.['id'], cause },
        },
      });

      const [header = '', ...rows] = (await exported(userId, 'csv')).trim().split('\n');
      const row = rows.find((line) => line.includes(',revoke-leaf,'))?.split(',') ?? [];
      const column = (name: string) => row[header.split(',').indexOf(name)];
      expect({
        toRevocation: column('seconds_event_to_revocation'),
        event: column('begun_by_event'),
        eventId: column('begun_by_event_id'),
        actor: column('begun_by_actor'),
        entry: column('begun_by_entry'),
        grace: column('grace_seconds'),
        late: column('seconds_grace_to_revocation'),
        lateInCrl: column('seconds_grace_to_crl'),
      }).toEqual({
        toRevocation: String(2 + graceSeconds + 5),
        event,
        eventId: `insert-${event}`,
        actor: 'admin@acme.example',
        entry: begun?.['id'],
        grace: String(graceSeconds),
        late: '5',
        lateInCrl: '35',
      });

      expect(await explained(userId)).toMatch(
        new RegExp(
          `${reason} the audit log entry ${event} by admin@acme\\.example \\(insert-${event}\\) at \\S+ \\S+ and the grace period that ran from \\S+ \\S+ to \\S+ \\S+, 5\\.0 s before the revocation: `,
        ),
      );
    },
  );

  it('is checked like any other, with what an export says beside it', async () => {
    await keepCheckpoints(world.checkpointDeps);
    const at = world.clock.now().toISOString();
    expect((await sealwright(['audit', 'verify', '--at', at], environment)).stdout).toContain(
      'Nothing was changed',
    );
  });
});
