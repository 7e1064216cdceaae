/** What a workflow is to the crash campaign, and what several of them have in common. */
import type { AdminRoute } from '../../functions/admin/routes.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import { generateEcKey, type KeyPair } from '../../shared/pki/key.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { type SampleAuthority, sampleAuthority } from '../pki/sample-authority.ts';
import { USER_ID } from '../reconcile/workflows.ts';
import { type KeyPool, keyPoolOfPairs } from '../support/fakes/key-pool.ts';
import {
  CAUSE,
  KEY_SERVICE_URL,
  type Materials,
  MINUTE_MS,
  type Ports,
  type World,
  type WorldOptions,
} from '../support/fakes/world.ts';
import { nextAuthority } from '../support/next-authority.ts';
import { type OldKey, oldKey } from '../support/old-key.ts';
import { policyOf, policyRule } from '../support/policy.ts';

export interface CrashMaterials extends Materials {
  readonly pool: KeyPool;
  /** A second CA. */
  readonly next: SampleAuthority;
  /** Of old mail, by another CA. */
  readonly old: OldKey;
  /** Of another mail client. */
  readonly device: KeyPair;
}

export async function makeCrashMaterials(): Promise<CrashMaterials> {
  const [authority, next, pool, device] = await Promise.all([
    sampleAuthority({ curve: 'P-256' }),
    nextAuthority({ curve: 'P-256' }),
    keyPoolOfPairs(28),
    generateEcKey('P-256'),
  ]);
  return { authority, next, pool, old: oldKey(), device };
}

export interface Workflow {
  /** After "ends". */
  readonly name: string;
  /** After "with". */
  readonly leaving: string;
  /** Calls of the admin API that it makes, as `ADMIN_ROUTES` names them. */
  readonly routes?: readonly AdminRoute['path'][];
  /** Default: a CA, and the ledger in memory. */
  readonly world?: WorldOptions;
  /** Up to the moment that is disturbed. */
  prepare(world: World, materials: CrashMaterials): Promise<void>;
  /** What is disturbed. It acts through `ports` alone; `world` is to be looked at and, as by others, changed. */
  run(ports: Ports, world: World, materials: CrashMaterials): Promise<unknown>;
  /** What comes after a death or an error. Default: the same once more. */
  again?(ports: Ports, world: World, materials: CrashMaterials): Promise<unknown>;
  /** What happens later in any case. */
  afterwards?(world: World, materials: CrashMaterials): Promise<unknown>;
  /** Beside the users, what is compared. */
  end?(world: World): Promise<unknown>;
  /** What the undisturbed run has to have left: of `USER_ID` unless `expectMore`. */
  readonly expect?: object;
  readonly expectMore?: unknown;
}

export const ADMIN = 'admin@acme.example';
export const OTHER_ADMIN = 'other-admin@acme.example';
export const NEW_URL = 'https://kacls.new.example/v1';
export const OTHER_ID = '100000000000000000002';

/** The usual rule, but for this. */
export const under = (changes: Parameters<typeof policyRule>[0]): Policy =>
  policyOf([policyRule({ modulusBits: 2048, keyServiceUrl: KEY_SERVICE_URL, ...changes })]);

/** One look at the user, as of old. */
export const look = (
  { deps }: { readonly deps: ReconcileDeps },
  changes: Partial<ReconcileDeps> = {},
  userId = USER_ID,
) => reconcile({ ...deps, ...changes }, userId, CAUSE);

/** The run that is disturbed, where it is one look. */
export const oneLook =
  (changes: Partial<ReconcileDeps> = {}, userId = USER_ID): Workflow['run'] =>
  (ports) =>
    look(ports, changes, userId);

/** A minute later `due` finds whoever is due, and each is looked at. */
export async function lookAtDue(world: World, changes: Partial<ReconcileDeps> = {}): Promise<void> {
  world.clock.advance(MINUTE_MS);
  for (const { userId } of await world.ledger.dueUsers(100)) await look(world, changes, userId);
}
