import { domainOf, parseAddress } from './addresses.ts';
import { addUnit } from './org-units.ts';
import type { OrgUnitRecord } from './records.ts';
import { addressesOf, type Tenant } from './tenant.ts';
import { newUser } from './users.ts';

/** What a tenant has before anybody calls its API. */
export interface TenantSeed {
  /** Paths such as `/Staff/Design`; parents that are missing are made. */
  readonly orgUnits?: readonly string[];
  readonly users?: readonly SeedUser[];
}

export interface SeedUser {
  readonly primaryEmail: string;
  readonly givenName: string;
  readonly familyName: string;
  /** `/` unless told. */
  readonly orgUnitPath?: string;
  readonly aliases?: readonly string[];
  readonly superAdmin?: boolean;
  readonly suspended?: boolean;
  readonly archived?: boolean;
}

/**
 * Fills the tenant without events, audit entries or quota; mailboxes are there at once. Units that exist stay as
 * they are. Throws a sentence for an address that is taken or not the tenant's.
 */
export function seedTenant(tenant: Tenant, seed: TenantSeed): void {
  for (const path of seed.orgUnits ?? []) ensureUnit(tenant, path);
  for (const given of seed.users ?? []) {
    const unit = tenant.unitByPath(given.orgUnitPath ?? '/');
    if (unit === undefined) {
      throw new Error(
        `${given.primaryEmail} cannot be in ${given.orgUnitPath}: name that unit in orgUnits too.`,
      );
    }
    const [primaryEmail, ...aliases] = [given.primaryEmail, ...(given.aliases ?? [])].map((text) =>
      freeAddress(tenant, text),
    );
    if (primaryEmail === undefined) continue;
    const name = { givenName: given.givenName, familyName: given.familyName };
    const user = newUser(tenant, { primaryEmail, name, orgUnitId: unit.id });
    user.aliases = aliases;
    user.isAdmin = given.superAdmin ?? false;
    user.archived = given.archived ?? false;
    user.suspended = given.suspended ?? false;
    if (user.suspended) user.suspensionReason = 'ADMIN';
    if (new Set(addressesOf(user)).size !== aliases.length + 1) {
      throw new Error(`${primaryEmail} is given the same address twice.`);
    }
    tenant.data.users[user.id] = user;
    tenant.changed(user);
  }
}

function ensureUnit(tenant: Tenant, path: string): OrgUnitRecord {
  const existing = tenant.unitByPath(path);
  if (existing !== undefined) return existing;
  const names = path.split('/').filter((name) => name !== '');
  const parent = ensureUnit(tenant, `/${names.slice(0, -1).join('/')}`);
  return addUnit(tenant, parent, names.at(-1) ?? '', '');
}

function freeAddress(tenant: Tenant, text: string): string {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is no address a Workspace user can have.`);
  if (!tenant.domains.includes(domainOf(address))) {
    throw new Error(`${address} is not in ${tenant.domains.join(' or ')}.`);
  }
  if (tenant.userByAddress(address) !== undefined) throw new Error(`${address} is taken already.`);
  return address;
}
