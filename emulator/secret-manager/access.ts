/**
 * Who may do what: roles of Secret Manager granted on the project (by the wiring) or on one secret (by `setIamPolicy`).
 * https://cloud.google.com/secret-manager/docs/access-control
 */
import type { Caller } from '../core/access-tokens.ts';
import { GoogleError, invalidArgument } from '../core/google-error.ts';
import type { Binding } from './records.ts';

export type Permission =
  | `secretmanager.secrets.${'create' | 'get' | 'list' | 'update' | 'delete' | 'getIamPolicy' | 'setIamPolicy'}`
  | `secretmanager.versions.${'add' | 'get' | 'list' | 'access' | 'enable' | 'disable' | 'destroy'}`;

const READING: readonly Permission[] = [
  'secretmanager.secrets.get',
  'secretmanager.secrets.list',
  'secretmanager.secrets.getIamPolicy',
  'secretmanager.versions.get',
  'secretmanager.versions.list',
];

const PERMISSIONS: Readonly<Record<string, readonly Permission[] | 'all'>> = {
  'roles/owner': 'all',
  'roles/secretmanager.admin': 'all',
  'roles/secretmanager.viewer': READING,
  'roles/secretmanager.secretAccessor': ['secretmanager.versions.access'],
  'roles/secretmanager.secretVersionAdder': ['secretmanager.versions.add'],
  'roles/secretmanager.secretVersionManager': [
    'secretmanager.versions.add',
    'secretmanager.versions.get',
    'secretmanager.versions.list',
    'secretmanager.versions.enable',
    'secretmanager.versions.disable',
    'secretmanager.versions.destroy',
  ],
};

export interface AccessQuestion {
  readonly caller: Caller | undefined;
  readonly permission: Permission;
  readonly bindings: readonly Binding[];
}

/** True when one of the bindings gives the caller the permission. */
export function holdsPermission({ caller, permission, bindings }: AccessQuestion): boolean {
  return bindings.some(
    (binding) =>
      grants(binding.role, permission) && binding.members.some((member) => isMember(caller, member)),
  );
}

/** Throws 403 in Secret Manager's words, naming the resource as the request does. */
export function requirePermission(question: AccessQuestion & { readonly resource: string }): void {
  if (holdsPermission(question)) return;
  const { permission, resource } = question;
  throw new GoogleError(
    403,
    'forbidden',
    `Permission '${permission}' denied for resource '${resource}' (or it may not exist).`,
    {
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
          reason: 'IAM_PERMISSION_DENIED',
          domain: 'iam.googleapis.com',
          metadata: { permission, resource },
        },
      ],
    },
  );
}

/** Refuses roles and members that Secret Manager does not know, or that the emulator cannot decide about. */
export function checkBinding(binding: Binding): void {
  if (!Object.hasOwn(PERMISSIONS, binding.role)) {
    throw invalidArgument(`Role ${binding.role} is not supported for this resource.`);
  }
  for (const member of binding.members) {
    if (/^(user|serviceAccount):[^\s@:]+@[^\s@:]+$/.test(member)) continue;
    if (/^(group|domain|principal|principalSet|deleted):/.test(member) || /^all/.test(member)) {
      throw new GoogleError(
        501,
        'notImplemented',
        `The emulator decides only about user: and serviceAccount: members, not about ${member}.`,
      );
    }
    throw invalidArgument(`Invalid member "${member}": write it as serviceAccount:EMAIL or user:EMAIL.`);
  }
}

function grants(role: string, permission: Permission): boolean {
  const permissions = Object.hasOwn(PERMISSIONS, role) ? PERMISSIONS[role] : undefined;
  return permissions === 'all' || (permissions?.includes(permission) ?? false);
}

function isMember(caller: Caller | undefined, member: string): boolean {
  if (caller === undefined) return false;
  const prefix = caller.kind === 'user' ? 'user' : 'serviceAccount';
  return member.toLowerCase() === `${prefix}:${caller.email}`.toLowerCase();
}
