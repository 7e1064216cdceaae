import type { Caller } from '../core/access-tokens.ts';
import { GoogleError } from '../core/google-error.ts';
import { notAuthorized, notToReadActivities } from './refusals.ts';
import type { Tenant } from './tenant.ts';

/** What a method needs beyond its OAuth scope. */
export type Right =
  /** Any admin role. */
  | 'read'
  /** A role that may change users and units. */
  | 'change'
  /** A role with the privilege to see reports. */
  | 'reports'
  /** Nothing: what every user of the domain may see (`viewType=domain_public`). */
  | 'public';

/** Admin roles that were given to service accounts in the Admin console. */
export type AdminRole = 'read-only' | 'read-only-and-reports' | 'super-admin';

/**
 * Who may call what. A delegated user has the rights of that user; a service account as itself has only the admin
 * role assigned to it. https://developers.google.com/workspace/admin/directory/v1/guides/manage-roles
 */
export class Access {
  readonly #tenant: Tenant;
  readonly #roles: Readonly<Record<string, AdminRole>>;

  constructor(tenant: Tenant, roles: Readonly<Record<string, AdminRole>>) {
    this.#tenant = tenant;
    this.#roles = roles;
  }

  /** Throws 403 `forbidden` without the right (401 where it is about reports), 401 for a user who is gone or suspended. */
  require(caller: Caller, right: Right): void {
    if (caller.kind === 'service-account') {
      const role = Object.hasOwn(this.#roles, caller.email) ? this.#roles[caller.email] : undefined;
      if (right === 'reports' && (role === undefined || role === 'read-only')) throw notToReadActivities();
      if (role === undefined || (right === 'change' && role !== 'super-admin')) throw notAuthorized();
      return;
    }
    const user = this.#tenant.userByAddress(caller.email);
    if (user === undefined || user.suspended) {
      throw new GoogleError(401, 'authError', 'Invalid Credentials', {
        location: 'Authorization',
        locationType: 'header',
      });
    }
    if (right === 'reports' && !user.isAdmin) throw notToReadActivities();
    if (right !== 'public' && !user.isAdmin) throw notAuthorized();
  }
}
