/** The workflows that tests disturb: how each is prepared, up to the moment of the run that is disturbed. */
import { reconcile } from '../../shared/reconcile/run.ts';
import { CAUSE, DAY_MS, HOUR_MS, START, type World } from '../support/fakes/world.ts';

export const USER_ID = '100000000000000000001';
export const ADDRESS = 'ana@acme.example';
export const NEW_ADDRESS = 'ana.new@acme.example';

export interface Workflow {
  readonly name: string;
  prepare(world: World): Promise<void>;
}

const join = async (world: World): Promise<void> => {
  world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS });
  await reconcile(world.deps, USER_ID, CAUSE);
  world.clock.advance(HOUR_MS);
};

export const wish = async (world: World, reason: 'superseded' | 'keyCompromise'): Promise<string> => {
  const { jobId } = await world.ledger.recordRekeyJob({
    requestedBy: 'admin@acme.example',
    reason,
    ...(reason === 'keyCompromise' ? { invalidityDate: START } : {}),
    users: [{ userId: USER_ID, primaryEmail: ADDRESS }],
  });
  return jobId;
};

export const JOIN: Workflow = {
  name: 'a join',
  prepare: async (world) => {
    world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS });
  },
};

export const REKEY: Workflow = {
  name: 'a re-key (superseded)',
  prepare: async (world) => {
    await join(world);
    await wish(world, 'superseded');
  },
};

export const COMPROMISE: Workflow = {
  name: 'a re-key (keyCompromise)',
  prepare: async (world) => {
    await join(world);
    await wish(world, 'keyCompromise');
  },
};

export const OVERLAP_END: Workflow = {
  name: 'the end of the overlap after a re-key',
  prepare: async (world) => {
    await join(world);
    await wish(world, 'superseded');
    await reconcile(world.deps, USER_ID, CAUSE);
    world.clock.advance(3 * DAY_MS + HOUR_MS);
  },
};

export const LEAVE: Workflow = {
  name: 'a leave whose grace period is over',
  prepare: async (world) => {
    await join(world);
    world.directory.put({ userId: USER_ID, orgUnitPath: '/Contractors' });
    await reconcile(world.deps, USER_ID, CAUSE);
    world.clock.advance(DAY_MS + HOUR_MS);
  },
};

export const DELETE: Workflow = {
  name: 'a deletion with a re-key still open',
  prepare: async (world) => {
    await join(world);
    await wish(world, 'superseded');
    world.directory.remove(USER_ID);
  },
};

export const RENAME: Workflow = {
  name: 'a rename',
  prepare: async (world) => {
    await join(world);
    world.directory.put({ userId: USER_ID, primaryEmail: NEW_ADDRESS, aliases: [ADDRESS] });
  },
};

export const RENEWAL: Workflow = {
  name: 'a renewal',
  prepare: async (world) => {
    await join(world);
    world.clock.advance(345 * DAY_MS);
    await world.publishCrl();
  },
};
