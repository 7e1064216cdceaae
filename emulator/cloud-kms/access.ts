/**
 * Who may do what: roles of Cloud KMS granted on the project (by the wiring), on a key ring or on one key (by
 * `setIamPolicy`). Administering keys does not include using them. https://docs.cloud.google.com/kms/docs/reference/permissions-and-roles
 */
import { iam } from '../core/iam.ts';

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

export const { requirePermission, checkBinding } = iam<Permission>({
  roles: PERMISSIONS,
  domain: 'cloudkms.googleapis.com',
  preposition: 'on',
});
