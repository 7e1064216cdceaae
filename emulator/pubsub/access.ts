/**
 * Who may do what, as IAM's predefined Pub/Sub roles say. A binding on a project holds for all topics and
 * subscriptions in it. https://docs.cloud.google.com/pubsub/docs/access-control
 */
import type { Caller } from '../core/access-tokens.ts';
import { permissionDenied } from '../core/google-error.ts';
import { projectOf } from './resources.ts';

export type Permission =
  | 'pubsub.topics.create'
  | 'pubsub.topics.get'
  | 'pubsub.topics.list'
  | 'pubsub.topics.update'
  | 'pubsub.topics.delete'
  | 'pubsub.topics.publish'
  | 'pubsub.topics.attachSubscription'
  | 'pubsub.subscriptions.create'
  | 'pubsub.subscriptions.get'
  | 'pubsub.subscriptions.list'
  | 'pubsub.subscriptions.update'
  | 'pubsub.subscriptions.delete'
  | 'pubsub.subscriptions.consume';

const VIEWER: readonly Permission[] = [
  'pubsub.topics.get',
  'pubsub.topics.list',
  'pubsub.subscriptions.get',
  'pubsub.subscriptions.list',
];
const PUBLISHER: readonly Permission[] = ['pubsub.topics.publish'];
const SUBSCRIBER: readonly Permission[] = [
  'pubsub.subscriptions.consume',
  'pubsub.topics.attachSubscription',
];
const EDITOR: readonly Permission[] = [
  ...VIEWER,
  ...PUBLISHER,
  ...SUBSCRIBER,
  'pubsub.topics.create',
  'pubsub.topics.update',
  'pubsub.topics.delete',
  'pubsub.subscriptions.create',
  'pubsub.subscriptions.update',
  'pubsub.subscriptions.delete',
];

const ROLES = {
  'roles/pubsub.viewer': VIEWER,
  'roles/pubsub.publisher': PUBLISHER,
  'roles/pubsub.subscriber': SUBSCRIBER,
  'roles/pubsub.editor': EDITOR,
  'roles/pubsub.admin': EDITOR,
} satisfies Record<string, readonly Permission[]>;

export type PubsubRole = keyof typeof ROLES;

export interface PubsubBinding {
  /** `projects/P`, `projects/P/topics/T` or `projects/P/subscriptions/S`. */
  readonly resource: string;
  readonly role: PubsubRole;
  /** `serviceAccount:ADDRESS` or `user:ADDRESS`. */
  readonly members: readonly string[];
}

export class PubsubAccess {
  readonly #bindings: readonly PubsubBinding[];

  constructor(bindings: readonly PubsubBinding[]) {
    this.#bindings = bindings;
  }

  /** `member` as IAM writes it, `resource` a full name. */
  allows(member: string, permission: Permission, resource: string): boolean {
    return this.#bindings.some(
      (binding) =>
        (binding.resource === resource || binding.resource === projectOf(resource)) &&
        binding.members.includes(member) &&
        (ROLES[binding.role] as readonly Permission[]).includes(permission),
    );
  }

  /** Throws 403 in Google's words, which name neither the permission nor whether the resource exists. */
  check(caller: Caller | undefined, permission: Permission, resource: string): void {
    if (caller !== undefined && this.allows(memberOf(caller), permission, resource)) return;
    throw permissionDenied('User not authorized to perform this action.');
  }
}

const memberOf = (caller: Caller): string =>
  caller.kind === 'service-account' ? `serviceAccount:${caller.email}` : `user:${caller.email}`;
