/**
 * What every ledger promises about the table that a sweep keeps: together with whoever was written since it is everybody, as they are.
 * Here a table is all records of `packedUsers`, one after the other; the ledger does not look into it.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { UserState } from '../../shared/domain/records.ts';
import { SWEEP_SUBJECT, type SweptMoment } from '../../shared/ports/ledger/sweeps.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import { PackedUsers, Statuses } from '../../shared/sources/sweep/packed-users.ts';
import { gathered } from '../support/gathered.ts';
import type { LedgerKind, LedgerSubject } from './subject.ts';

const IDS = ['100000000000000000001', '100000000000000000002', '3', 'vier'];

/** By id, all that a record says. */
export function told(packed: Uint8Array): ReadonlyMap<string, string> {
  const statuses = new Statuses();
  const users = new PackedUsers(packed, statuses);
  const found = new Map<string, string>();
  while (users.next()) {
    const id = users.id.join(' ');
    if (found.has(id)) throw new Error(`${id} comes twice`);
    found.set(id, `${users.hasDigest} ${users.digest} ${JSON.stringify(statuses.at(users.status))}`);
  }
  return found;
}

/** What a sweep makes of what was kept and of whoever was written since. */
export async function takenUp(moment: SweptMoment): Promise<ReadonlyMap<string, string>> {
  const { users, packed } = await moment.changedUsers();
  const changed = told(Buffer.concat(packed));
  expect(changed.size).toBe(users);
  return new Map([...told(await gathered(moment.keptBytes)), ...changed]);
}

export const sweptTableContract = ({ start }: LedgerKind): void => {
  let subject: LedgerSubject;
  let ledger: Ledger;
  let lease: Lease;

  beforeEach(async () => {
    subject = await start();
    ledger = subject.open({ now: () => new Date('2027-03-01T09:00:00Z') });
    lease = (await ledger.acquireLease(SWEEP_SUBJECT, 60_000)) ?? expect.unreachable();
  });
  afterEach(() => subject.close());

  const write = async (userId: string, state: UserState, address: string, ruleName = 'staff') => {
    const held = (await ledger.acquireLease(`user:${userId}`, 60_000)) ?? expect.unreachable();
    await ledger.recordSighting(held, { userId, primaryEmail: address, aliases: [], ruleName });
    await ledger.recordState(held, { userId, state, reason: 'As told.', failures: 0 });
    await ledger.releaseLease(held);
  };
  const everybody = () => ledger.atOneMoment(async (moment) => told(await gathered(moment.packedUsers)));
  const keep = async () => {
    const [name, bytes] = await ledger.atOneMoment(
      async (moment) => [moment.name, await gathered(moment.packedUsers)] as const,
    );
    await ledger.keepTable(lease, name, { head: 'Köln', bytes });
  };

  describe('the table that a sweep keeps', () => {
    it('is none at first', async () => {
      expect(await ledger.atOneMoment((moment) => moment.keptTable())).toBeUndefined();
      expect(await ledger.atOneMoment((moment) => gathered(moment.keptBytes))).toEqual(Buffer.alloc(0));
    });

    it.each([0, 1, 49_151, 49_152, 49_153, 1_572_864, 3_200_001])(
      'comes back, of %i bytes',
      async (length) => {
        const bytes = Buffer.alloc(length, 'some bytes that are not alike');
        const { name } = await ledger.atOneMoment(async (moment) => moment);
        await ledger.keepTable(lease, name, { head: 'one before', bytes: Buffer.alloc(100_000) });
        await ledger.keepTable(lease, name, { head: '{"ü":1}', bytes });
        await ledger.atOneMoment(async (moment) => {
          expect(await moment.keptTable()).toMatchObject({ head: '{"ü":1}' });
          expect((await gathered(moment.keptBytes)).equals(bytes)).toBe(true);
        });
      },
    );

    it('is kept under the lease alone', async () => {
      await write('3', 'ready', 'ada@acme.example');
      await keep();
      const { name } = await ledger.atOneMoment(async (moment) => moment);
      await write('3', 'blocked', 'ada@acme.example');
      await ledger.releaseLease(lease);
      const late = ledger.keepTable(lease, name, { head: 'late', bytes: Buffer.alloc(1) });
      await expect(late).rejects.toMatchObject({ code: 'lease-lost' });
      await ledger.atOneMoment(async (moment) => {
        expect(await moment.keptTable()).toMatchObject({ head: 'Köln' });
        expect((await moment.changedUsers()).users).toBe(1);
      });
    });

    it('needs nobody read again who was only looked at', async () => {
      for (const userId of IDS) await write(userId, 'ready', 'ada@acme.example');
      await keep();
      for (const userId of IDS) await write(userId, 'ready', 'ada@acme.example');
      expect(await ledger.atOneMoment((moment) => moment.keptTable())).toMatchObject({ writes: 0 });
    });

    it('is everybody, together with those written since its moment, whatever was written and kept in between', async () => {
      const one = fc.record({
        userId: fc.constantFrom(...IDS),
        state: fc.constantFrom<UserState>('ready', 'pending', 'blocked', 'leaving', 'out'),
        address: fc.constantFrom('ada@acme.example', 'ida@acme.example'),
        ruleName: fc.constantFrom('staff', 'others'),
      });
      const history = fc.array(fc.oneof({ weight: 4, arbitrary: one }, fc.constantFrom('keep', 'moment')), {
        minLength: 1,
        maxLength: 12,
      });
      const moment = async () => {
        const [name, bytes] = await ledger.atOneMoment(
          async (found) => [found.name, await gathered(found.packedUsers)] as const,
        );
        return () => ledger.keepTable(lease, name, { head: 'Köln', bytes });
      };
      let keepMoment = await moment();
      await keepMoment();
      await fc.assert(
        fc.asyncProperty(history, async (steps) => {
          for (const step of steps) {
            // What is kept may be of a moment that lies behind.
            if (step === 'moment') keepMoment = await moment();
            else if (step === 'keep') {
              await keepMoment();
              keepMoment = await moment();
            } else await write(step.userId, step.state, step.address, step.ruleName);
          }
          expect(await ledger.atOneMoment(takenUp)).toEqual(await everybody());
        }),
        { numRuns: 25 },
      );
    });
  });
};
