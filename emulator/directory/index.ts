/**
 * The Workspace Directory of one tenant: users, aliases, org units and groups over Google's REST paths, push channels, and
 * the audit entries that an organization's log sink exports to Pub/Sub, and the Reports API's lists of the same. `records.ts` opens with the vocabulary.
 *
 * It does not do settings of groups, custom schemas, guests, photos or sign-out, and it delays what Google delays
 * (what reads show of a user who has changed) only when told to (`faults.directory.readsLagMs`): else a read shows the last write.
 */
import type { EmulatorContext } from '../core/context.ts';
import type { OutboundParts } from '../core/outbound-request.ts';
import type { Account, AccountChange, Accounts, Busy, Publisher, Room } from '../core/rooms.ts';
import { Access, type AdminRole } from './access.ts';
import { Activities } from './activities.ts';
import { Aliases } from './aliases.ts';
import { AuditLog } from './audit.ts';
import { Changes } from './changes.ts';
import { Channels } from './channels.ts';
import { Disturbance } from './disturbance.ts';
import { GroupBook } from './group-book.ts';
import { Groups } from './groups.ts';
import { LaggingReads } from './lagging-reads.ts';
import { Members } from './members.ts';
import { directoryRoutes } from './methods.ts';
import { DEFAULT_RETRY, type RetryPolicy } from './notification-queue.ts';
import { OrgUnits } from './org-units.ts';
import { PageTokens } from './page-token.ts';
import { Quota } from './quota.ts';
import { seedTenant, type TenantSeed } from './seed.ts';
import { addressesOf, Tenant } from './tenant.ts';
import { UserList } from './user-list.ts';
import { Users } from './users.ts';

export type { AdminRole } from './access.ts';
export type { RetryPolicy } from './notification-queue.ts';
export type { SeedUser, TenantSeed } from './seed.ts';

const SIX_HOURS_MS = 6 * 3_600_000;

export interface DirectoryOptions {
  /** `C00sample` */
  readonly customerId: string;
  /** Lower case, the primary domain first. */
  readonly domains: readonly [string, ...string[]];
  /** The Cloud organization in whose log the audit entries are; decimal digits. */
  readonly organizationNumber: string;
  /** Destination of the organization's log sink, `projects/P/topics/T`; undefined: no sink. */
  readonly auditTopic?: string;
  /** Exports every audit entry instead of those the documented filter lets through; false unless told. */
  readonly exportAllAuditEntries?: boolean;
  /** Admin roles of service accounts that call as themselves, by their address; none unless told. */
  readonly roles?: Readonly<Record<string, AdminRole>>;
  /** From a user's creation to their mailbox, by the emulator's clock; 0 unless told. */
  readonly mailboxDelayMs?: number;
  /** The longest life of a channel; six hours unless told. */
  readonly channelMaxTtlMs?: number;
  /** Retries of notifications, in real time. */
  readonly notificationRetry?: RetryPolicy;
}

export interface DirectoryDependencies {
  readonly publisher: Publisher;
  /** How notifications leave the emulator. */
  readonly outbound: OutboundParts;
}

export interface Directory extends Accounts, Busy, Room {
  /** Makes units and users without events. Throws a sentence when an address is taken or foreign. */
  seedTenant(seed: TenantSeed): void;
  /** Stops deliveries that are under way; what has not gone out is lost, as it may be with Google. */
  close(): void;
}

export function createDirectory(
  context: EmulatorContext,
  dependencies: DirectoryDependencies,
  options: DirectoryOptions,
): Directory {
  const tenant = new Tenant(context, options.customerId, options.domains);
  const notices = new Disturbance(context.faults);
  const channels = new Channels(tenant, notices, {
    maxTtlMs: options.channelMaxTtlMs ?? SIX_HOURS_MS,
    retry: options.notificationRetry ?? DEFAULT_RETRY,
    outbound: dependencies.outbound,
  });
  const tokens = new PageTokens(tenant.data.pageTokenKey);
  const activities = new Activities(context, tenant, tokens);
  const audit = new AuditLog(context, dependencies.publisher, notices, activities, {
    organizationNumber: options.organizationNumber,
    customerId: options.customerId,
    topic: options.auditTopic,
    exportAll: options.exportAllAuditEntries ?? false,
  });
  const changes = new Changes(tenant, channels, audit);
  const quota = new Quota(context);
  const reads = new LaggingReads(tenant, context.faults);
  const book = new GroupBook(tenant);
  const groupParts = { tenant, book, changes, tokens, faults: context.faults };
  const nouns = {
    users: new Users({ tenant, changes, quota, reads }, options.mailboxDelayMs ?? 0),
    userList: new UserList(tenant, reads, tokens, context.faults),
    aliases: new Aliases(tenant, changes, reads),
    orgUnits: new OrgUnits(tenant, changes, quota),
    groups: new Groups(groupParts),
    members: new Members(groupParts),
    channels,
    activities,
  };
  context.clock.onMove(() => tenant.deleted());

  const account = (user: Parameters<Tenant['account']>[0] | undefined): Account | undefined =>
    user === undefined ? undefined : tenant.account(user);
  return {
    routes: directoryRoutes(nouns, new Access(tenant, options.roles ?? {}), quota),
    byAddress: (address) => account(tenant.userByAddress(address)),
    byId: (id) => account(tenant.userById(id)),
    deletedByAddress: (address) => {
      const latestFirst = tenant.deleted().toSorted((a, b) => b.deletedAtMs - a.deletedAtMs);
      return account(latestFirst.find(({ user }) => addressesOf(user).includes(address.toLowerCase()))?.user);
    },
    onChange: (listener: (change: AccountChange, account: Account) => void) => changes.onChange(listener),
    pending: () => [...notices.pending(), ...channels.pending()],
    seedTenant: (seed) => seedTenant(tenant, seed),
    close: () => {
      notices.close();
      channels.close();
    },
  };
}
