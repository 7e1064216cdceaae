/**
 * Who may do what: roles of Secret Manager granted on the project (by the wiring) or on one secret (by `setIamPolicy`).
 * https://cloud.google.com/secret-manager/docs/access-control
 */
import { iam } from '../core/iam.ts';

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

export const { holdsPermission, requirePermission, checkBinding } = iam<Permission>({
  roles: PERMISSIONS,
  domain: 'iam.googleapis.com',
  preposition: 'for',
});
