/**
 * Who may do what: roles of Cloud KMS granted on the project (by the wiring), on a key ring or on one key (by
 * `setIamPolicy`). Administering keys does not include using them. https://docs.cloud.google.com/kms/docs/reference/permissions-and-roles
 */
import type { Caller } from '../core/access-tokens.ts';
import { GoogleError, invalidArgument } from '../core/google-error.ts';
import type { Binding } from './records.ts';

export type Permission =
  | `cloudkms.keyRings.${'create' | 'get' | 'list' | 'getIamPolicy' | 'setIamPolicy'}`
  | `cloudkms.cryptoKeys.${'create' | 'get' | 'list' | 'update' | 'getIamPolicy' | 'setIamPolicy'}`
  | `cloudkms.cryptoKeyVersions.${
      | 'create'
      | 'get'
      | 'list'
      | 'update'
      | 'destroy'
      | 'restore'
      | 'viewPublicKey'
      | 'useToSign'
      | 'useToEncrypt'
      | 'useToDecrypt'}`;

const READING: readonly Permission[] = [
  'cloudkms.keyRings.get',
  'cloudkms.keyRings.list',
  'cloudkms.cryptoKeys.get',
  'cloudkms.cryptoKeys.list',
  'cloudkms.cryptoKeyVersions.get',
  'cloudkms.cryptoKeyVersions.list',
];
const ADMINISTERING: readonly Permission[] = [
  ...READING,
  'cloudkms.keyRings.create',
  'cloudkms.keyRings.getIamPolicy',
  'cloudkms.keyRings.setIamPolicy',
  'cloudkms.cryptoKeys.create',
  'cloudkms.cryptoKeys.update',
  'cloudkms.cryptoKeys.getIamPolicy',
  'cloudkms.cryptoKeys.setIamPolicy',
  'cloudkms.cryptoKeyVersions.create',
  'cloudkms.cryptoKeyVersions.update',
  'cloudkms.cryptoKeyVersions.destroy',
  'cloudkms.cryptoKeyVersions.restore',
];

const PERMISSIONS: Readonly<Record<string, readonly Permission[] | 'all'>> = {
  'roles/owner': 'all',
  'roles/cloudkms.admin': ADMINISTERING,
  'roles/cloudkms.viewer': READING,
  'roles/cloudkms.publicKeyViewer': ['cloudkms.cryptoKeyVersions.viewPublicKey'],
  'roles/cloudkms.signer': ['cloudkms.cryptoKeyVersions.useToSign'],
  'roles/cloudkms.signerVerifier': [
    'cloudkms.cryptoKeyVersions.useToSign',
    'cloudkms.cryptoKeyVersions.viewPublicKey',
  ],
  'roles/cloudkms.cryptoKeyEncrypter': ['cloudkms.cryptoKeyVersions.useToEncrypt'],
  'roles/cloudkms.cryptoKeyDecrypter': ['cloudkms.cryptoKeyVersions.useToDecrypt'],
  'roles/cloudkms.cryptoKeyEncrypterDecrypter': [
    'cloudkms.cryptoKeyVersions.useToEncrypt',
    'cloudkms.cryptoKeyVersions.useToDecrypt',
  ],
  'roles/cloudkms.cryptoOperator': [
    'cloudkms.cryptoKeyVersions.useToEncrypt',
    'cloudkms.cryptoKeyVersions.useToDecrypt',
    'cloudkms.cryptoKeyVersions.useToSign',
    'cloudkms.cryptoKeyVersions.viewPublicKey',
  ],
};

export interface AccessQuestion {
  readonly caller: Caller | undefined;
  readonly permission: Permission;
  readonly bindings: readonly Binding[];
}

/** Throws 403 in Google's words, naming the resource as the request does. */
export function requirePermission(question: AccessQuestion & { readonly resource: string }): void {
  const { caller, permission, bindings, resource } = question;
  const held = bindings.some(
    (binding) =>
      grants(binding.role, permission) && binding.members.some((member) => isMember(caller, member)),
  );
  if (held) return;
  throw new GoogleError(
    403,
    'forbidden',
    `Permission '${permission}' denied on resource '${resource}' (or it may not exist).`,
    {
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
          reason: 'IAM_PERMISSION_DENIED',
          domain: 'cloudkms.googleapis.com',
          metadata: { permission, resource },
        },
      ],
    },
  );
}

/** Refuses roles and members that Cloud KMS does not know, or that the emulator cannot decide about. */
export function checkBinding(binding: Binding): void {
  if (!Object.hasOwn(PERMISSIONS, binding.role))
    throw invalidArgument(`Role ${binding.role} is not supported for this resource.`);
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
