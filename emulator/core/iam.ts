/**
 * IAM as the emulator decides about it: bindings of roles to single accounts. Each service brings its roles and its words
 * for a refusal.
 */
import type { Caller } from './access-tokens.ts';
import { GoogleError, invalidArgument } from './google-error.ts';

export interface Binding {
  readonly role: string;
  readonly members: readonly string[];
}

export interface AccessQuestion<Permission extends string> {
  readonly caller: Caller | undefined;
  readonly permission: Permission;
  readonly bindings: readonly Binding[];
}

export interface Iam<Permission extends string> {
  /** True when one of the bindings gives the caller the permission. */
  holdsPermission(question: AccessQuestion<Permission>): boolean;
  /** Throws 403 in the service's words, naming the resource as the request does. */
  requirePermission(question: AccessQuestion<Permission> & { readonly resource: string }): void;
  /** Refuses roles and members that the service does not know, or that the emulator cannot decide about. */
  checkBinding(binding: Binding): void;
}

export interface IamRoles<Permission extends string> {
  /** What each role of the service gives. */
  readonly roles: Readonly<Record<string, readonly Permission[] | 'all'>>;
  /** The `domain` of a refusal's ErrorInfo. */
  readonly domain: string;
  /** Between "denied" and the resource in a refusal's sentence: `for` or `on`. */
  readonly preposition: 'for' | 'on';
}

export function iam<Permission extends string>({
  roles,
  domain,
  preposition,
}: IamRoles<Permission>): Iam<Permission> {
  const permissionsOf = (role: string) => (Object.hasOwn(roles, role) ? roles[role] : undefined);
  const grants = (role: string, permission: Permission): boolean => {
    const permissions = permissionsOf(role);
    return permissions === 'all' || (permissions?.includes(permission) ?? false);
  };
  const holdsPermission = ({ caller, permission, bindings }: AccessQuestion<Permission>): boolean =>
    bindings.some(
      (binding) =>
        grants(binding.role, permission) && binding.members.some((member) => isMember(caller, member)),
    );
  return {
    holdsPermission,
    requirePermission(question) {
      if (holdsPermission(question)) return;
      const { permission, resource } = question;
      throw new GoogleError(
        403,
        'forbidden',
        `Permission '${permission}' denied ${preposition} resource '${resource}' (or it may not exist).`,
        {
          details: [
            {
              '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
              reason: 'IAM_PERMISSION_DENIED',
              domain,
              metadata: { permission, resource },
            },
          ],
        },
      );
    },
    checkBinding({ role, members }) {
      if (permissionsOf(role) === undefined)
        throw invalidArgument(`Role ${role} is not supported for this resource.`);
      members.forEach(checkMember);
    },
  };
}

function checkMember(member: string): void {
  if (/^(user|serviceAccount):[^\s@:]+@[^\s@:]+$/.test(member)) return;
  if (/^(group|domain|principal|principalSet|deleted):/.test(member) || /^all/.test(member)) {
    throw new GoogleError(
      501,
      'notImplemented',
      `The emulator decides only about user: and serviceAccount: members, not about ${member}.`,
    );
  }
  throw invalidArgument(`Invalid member "${member}": write it as serviceAccount:EMAIL or user:EMAIL.`);
}

function isMember(caller: Caller | undefined, member: string): boolean {
  if (caller === undefined) return false;
  const prefix = caller.kind === 'user' ? 'user' : 'serviceAccount';
  return member.toLowerCase() === `${prefix}:${caller.email}`.toLowerCase();
}
