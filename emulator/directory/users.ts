/** `users.insert`, `get`, `update`, `patch`, `delete`, `undelete`, `makeAdmin`. */
import type { Caller } from '../core/access-tokens.ts';
import { readMessage } from '../core/message.ts';
import type { Call } from '../core/route.ts';
import { domainOf } from './addresses.ts';
import type { AuditEvent } from './audit.ts';
import type { Changes } from './changes.ts';
import type { LaggingReads } from './lagging-reads.ts';
import { booleanParameter, choice } from './method.ts';
import type { Quota } from './quota.ts';
import type { UserRecord } from './records.ts';
import { badRequest, conditionNotMet, duplicate, invalidInput, resourceNotFound } from './refusals.ts';
import { addressesOf, type Tenant } from './tenant.ts';
import {
  checkName,
  checkOrgUnitPath,
  checkPassword,
  checkPrimaryEmail,
  clearedFields,
  mergeProfile,
  USER,
  type UserBody,
  userResource,
} from './user-fields.ts';

/** The audit event for a kept field; fields that are not here change without one. */
const PROFILE_EVENTS: Readonly<Record<string, string>> = {
  addresses: 'CHANGE_USER_ADDRESS',
  externalIds: 'CHANGE_USER_EXTERNAL_ID',
  gender: 'CHANGE_USER_GENDER',
  ims: 'CHANGE_USER_IM',
  keywords: 'CHANGE_USER_KEYWORD',
  languages: 'CHANGE_USER_LANGUAGE',
  locations: 'CHANGE_USER_LOCATION',
  organizations: 'CHANGE_USER_ORGANIZATION',
  phones: 'CHANGE_USER_PHONE_NUMBER',
  recoveryEmail: 'CHANGE_RECOVERY_EMAIL',
  recoveryPhone: 'CHANGE_RECOVERY_PHONE',
  relations: 'CHANGE_USER_RELATION',
};

/** An insert has nothing to clear. */
const NOTHING: ReadonlySet<string> = new Set();

export interface UsersParts {
  readonly tenant: Tenant;
  readonly changes: Changes;
  readonly quota: Quota;
  readonly reads: LaggingReads;
}

export class Users {
  readonly #tenant: Tenant;
  readonly #changes: Changes;
  readonly #quota: Quota;
  readonly #reads: LaggingReads;
  readonly #mailboxDelayMs: number;

  /** `mailboxDelayMs`: from creation to mailbox, by the emulator's clock. */
  constructor({ tenant, changes, quota, reads }: UsersParts, mailboxDelayMs: number) {
    this.#tenant = tenant;
    this.#changes = changes;
    this.#quota = quota;
    this.#reads = reads;
    this.#mailboxDelayMs = mailboxDelayMs;
  }

  insert(call: Call, caller: Caller): unknown {
    booleanParameter(call, 'resolveConflictAccount');
    const body = readMessage(call, USER);
    const tenant = this.#tenant;
    const primaryEmail = checkPrimaryEmail(body.primaryEmail, tenant);
    const name = checkName(body.name, NOTHING);
    checkPassword(body);
    const orgUnitId = checkOrgUnitPath(body.orgUnitPath ?? '/', tenant);
    if (
      tenant.userByAddress(primaryEmail) !== undefined ||
      tenant.groupByAddress(primaryEmail) !== undefined
    ) {
      throw duplicate();
    }
    const bare = newUser(tenant, { primaryEmail, name, orgUnitId });
    const user: UserRecord = {
      ...bare,
      ...flagsOf(body, NOTHING, bare),
      profile: mergeProfile(body, NOTHING, bare),
    };
    user.mailboxReadyAtMs = tenant.nowMs + this.#mailboxDelayMs;
    this.#quota.userCreation(domainOf(primaryEmail));
    this.#reads.changing(user.id);
    tenant.data.users[user.id] = user;
    tenant.changed(user);
    this.#changes.user('add', user, caller, [userEvent('CREATE_USER', user.primaryEmail)]);
    return userResource(user, tenant);
  }

  get(call: Call): unknown {
    checkProjection(call);
    const view = choice(call, 'viewType', ['admin_view', 'domain_public']);
    const user = this.#reads.byKey(call.params['userKey'] ?? '');
    if (user === undefined) throw resourceNotFound('userKey');
    if (view === 'admin_view') return userResource(user, this.#tenant);
    if (!user.includeInGlobalAddressList) throw resourceNotFound('userKey');
    return userResource(user, this.#tenant, 'public');
  }

  /** PUT and PATCH alike: what is absent stays, null clears, as Google's update has it. */
  update(call: Call, caller: Caller): unknown {
    const tenant = this.#tenant;
    const user = this.#living(call);
    const body = readMessage(call, USER);
    const cleared = clearedFields(call);
    const touched = (field: keyof typeof body) => body[field] !== undefined || cleared.has(field);
    const primaryEmail = touched('primaryEmail')
      ? checkPrimaryEmail(body.primaryEmail, tenant)
      : user.primaryEmail;
    const holder = tenant.userByAddress(primaryEmail);
    if (
      (holder !== undefined && holder.id !== user.id) ||
      tenant.groupByAddress(primaryEmail) !== undefined
    ) {
      throw duplicate();
    }
    if (touched('password')) checkPassword(body);
    const next: UserRecord = {
      ...user,
      ...flagsOf(body, cleared, user),
      primaryEmail,
      // After a rename the old address is an alias; an alias that becomes the primary address is one no more.
      aliases: addressesOf(user).filter((address) => address !== primaryEmail),
      name: touched('name') ? checkName(body.name, cleared, user.name) : user.name,
      orgUnitId: touched('orgUnitPath') ? checkOrgUnitPath(body.orgUnitPath, tenant) : user.orgUnitId,
      profile: mergeProfile(body, cleared, user),
    };
    if (!next.suspended) delete next.suspensionReason;
    if (JSON.stringify(next) === JSON.stringify(user) && !touched('password'))
      return userResource(user, tenant);
    const events = updateEvents(user, next, tenant);
    if (touched('password')) events.push(userEvent('CHANGE_PASSWORD', next.primaryEmail));
    this.#reads.changing(user.id, { living: user });
    delete user.suspensionReason;
    Object.assign(user, next);
    tenant.changed(user);
    this.#changes.user('update', user, caller, events);
    return userResource(user, tenant);
  }

  delete(call: Call, caller: Caller): undefined {
    const user = this.#living(call);
    this.#reads.changing(user.id, { living: user });
    delete this.#tenant.data.users[user.id];
    this.#tenant.data.deleted[user.id] = { user, deletedAtMs: this.#tenant.nowMs };
    this.#tenant.changed();
    this.#changes.user('delete', user, caller, [userEvent('DELETE_USER', user.primaryEmail)]);
    return undefined;
  }

  /** By id only, within 20 days; aliases that others took meanwhile stay with them. */
  undelete(call: Call, caller: Caller): undefined {
    const tenant = this.#tenant;
    const key = call.params['userKey'] ?? '';
    const { orgUnitPath = '/' } = readMessage(call, { orgUnitPath: 'string' });
    const deleted = tenant.deleted().find((record) => record.user.id === key);
    if (deleted === undefined) {
      if (tenant.userById(key) === undefined) throw resourceNotFound('userKey');
      throw conditionNotMet('The user is not deleted, so there is nothing to undelete.');
    }
    const { user } = deleted;
    const orgUnitId = checkOrgUnitPath(orgUnitPath, tenant);
    if (tenant.userByAddress(user.primaryEmail) !== undefined) throw duplicate();
    this.#reads.changing(user.id, { deleted });
    user.aliases = user.aliases.filter((alias) => tenant.userByAddress(alias) === undefined);
    user.orgUnitId = orgUnitId;
    delete tenant.data.deleted[user.id];
    tenant.data.users[user.id] = user;
    tenant.changed(user);
    this.#changes.user('undelete', user, caller, [userEvent('UNDELETE_USER', user.primaryEmail)]);
    return undefined;
  }

  makeAdmin(call: Call, caller: Caller): undefined {
    const { status } = readMessage(call, { status: 'bool' });
    const user = this.#living(call);
    if (status === undefined) throw badRequest('Required parameter: status');
    if (user.isAdmin === status) return undefined;
    this.#reads.changing(user.id, { living: user });
    user.isAdmin = status;
    this.#tenant.changed(user);
    const name = status ? 'GRANT_ADMIN_PRIVILEGE' : 'REVOKE_ADMIN_PRIVILEGE';
    this.#changes.user('makeAdmin', user, caller, [userEvent(name, user.primaryEmail)]);
    return undefined;
  }

  #living(call: Call): UserRecord {
    const user = this.#tenant.userByKey(call.params['userKey'] ?? '');
    if (user === undefined) throw resourceNotFound('userKey');
    return user;
  }
}

/** A new account with Google's defaults and a fresh id; its mailbox is there at once. */
export function newUser(
  tenant: Tenant,
  given: Pick<UserRecord, 'primaryEmail' | 'name' | 'orgUnitId'>,
): UserRecord {
  return {
    id: tenant.newUserId(),
    aliases: [],
    suspended: false,
    archived: false,
    isAdmin: false,
    changePasswordAtNextLogin: false,
    includeInGlobalAddressList: true,
    ipWhitelisted: false,
    creationTime: new Date(tenant.nowMs).toISOString(),
    mailboxReadyAtMs: tenant.nowMs,
    profile: {},
    ...given,
  };
}

/** `projection` and `customFieldMask`, which go together. Throws 400. */
export function checkProjection(call: Call): void {
  const projection = choice(call, 'projection', ['basic', 'custom', 'full']);
  const mask = call.query.get('customFieldMask') ?? '';
  if ((projection === 'custom') !== (mask !== '')) throw invalidInput('customFieldMask');
}

export function userEvent(
  name: string,
  email: string,
  parameters: Readonly<Record<string, string>> = {},
): AuditEvent {
  const admin = /^(?:GRANT|REVOKE)_ADMIN_PRIVILEGE$/.test(name);
  return {
    type: admin ? 'DELEGATED_ADMIN_SETTINGS' : 'USER_SETTINGS',
    name,
    parameters: { USER_EMAIL: email, ...parameters },
  };
}

type Switch =
  | 'suspended'
  | 'archived'
  | 'changePasswordAtNextLogin'
  | 'includeInGlobalAddressList'
  | 'ipWhitelisted';
type Flags = Pick<UserRecord, Switch> & Partial<Pick<UserRecord, 'suspensionReason'>>;

/** The switches after a write; a cleared one goes back to its default. */
function flagsOf(body: UserBody, cleared: ReadonlySet<string>, user: UserRecord): Flags {
  const flag = (field: Switch, byDefault: boolean) =>
    body[field] ?? (cleared.has(field) ? byDefault : user[field]);
  const suspended = flag('suspended', false);
  return {
    suspended,
    archived: flag('archived', false),
    changePasswordAtNextLogin: flag('changePasswordAtNextLogin', false),
    includeInGlobalAddressList: flag('includeInGlobalAddressList', true),
    ipWhitelisted: flag('ipWhitelisted', false),
    ...(suspended ? { suspensionReason: user.suspensionReason ?? 'ADMIN' } : {}),
  };
}

/** What an update did, the changes that most consumers listen for first, because the entry goes by the first name. */
function updateEvents(before: UserRecord, after: UserRecord, tenant: Tenant): AuditEvent[] {
  const events: AuditEvent[] = [];
  const email = after.primaryEmail;
  if (before.primaryEmail !== email) {
    events.push(userEvent('RENAME_USER', before.primaryEmail, { NEW_VALUE: email }));
  }
  if (before.orgUnitId !== after.orgUnitId) {
    events.push(
      userEvent('MOVE_USER_TO_ORG_UNIT', email, {
        ORG_UNIT_NAME: tenant.pathOf(before.orgUnitId),
        NEW_VALUE: tenant.pathOf(after.orgUnitId),
      }),
    );
  }
  if (before.suspended !== after.suspended) {
    events.push(userEvent(after.suspended ? 'SUSPEND_USER' : 'UNSUSPEND_USER', email));
  }
  if (before.archived !== after.archived) {
    events.push(userEvent(after.archived ? 'ARCHIVE_USER' : 'UNARCHIVE_USER', email));
  }
  const names = [
    ['CHANGE_FIRST_NAME', before.name.givenName, after.name.givenName],
    ['CHANGE_LAST_NAME', before.name.familyName, after.name.familyName],
    ['CHANGE_DISPLAY_NAME', before.name.displayName ?? '', after.name.displayName ?? ''],
  ] as const;
  for (const [name, oldValue, newValue] of names) {
    if (oldValue !== newValue) {
      events.push(userEvent(name, email, { OLD_VALUE: oldValue, NEW_VALUE: newValue }));
    }
  }
  for (const [field, name] of Object.entries(PROFILE_EVENTS)) {
    if (JSON.stringify(before.profile[field]) !== JSON.stringify(after.profile[field])) {
      events.push(userEvent(name, email));
    }
  }
  return events;
}
