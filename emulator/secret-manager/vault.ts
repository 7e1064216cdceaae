import { randomBytes } from 'node:crypto';
import type { EmulatorContext } from '../core/context.ts';
import { alreadyExists, failedPrecondition, invalidArgument, notFound } from '../core/google-error.ts';
import type { Binding } from '../core/iam.ts';
import type { Call } from '../core/route.ts';
import { holdsPermission, type Permission, requirePermission } from './access.ts';
import type { Replication, StoredSecret, StoredVersion } from './records.ts';

export interface SecretManagerSettings {
  /** `acme-sealwright`. */
  readonly projectId: string;
  /** Decimal digits; answers name resources by it, as Google does. */
  readonly projectNumber: string;
  /** Roles granted on the whole project. */
  readonly bindings: readonly Binding[];
}

export interface NewSecret {
  readonly replication: Replication;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly expireTime?: string;
  readonly versionDestroyTtlSeconds?: number;
}

/** The secrets of the project: finding, making, and the passing of time over them. */
export class Vault {
  readonly #context: EmulatorContext;
  readonly #settings: SecretManagerSettings;
  readonly #secrets: Record<string, StoredSecret>;

  constructor(context: EmulatorContext, settings: SecretManagerSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#secrets = context.state.section('secrets', () => ({}));
  }

  get projectName(): string {
    return `projects/${this.#settings.projectNumber}`;
  }

  secretName(id: string): string {
    return `${this.projectName}/secrets/${id}`;
  }

  versionName(id: string, version: number | string): string {
    return `${this.secretName(id)}/versions/${version}`;
  }

  now(): string {
    return this.#context.clock.now().toISOString();
  }

  nowPlus(seconds: number): string {
    return new Date(this.#context.clock.nowMs() + seconds * 1000).toISOString();
  }

  changed(): void {
    this.#context.state.changed();
  }

  /** Newest first, as Google lists them. */
  all(): readonly StoredSecret[] {
    return Object.keys(this.#secrets)
      .map((id) => this.find(id))
      .filter((secret) => secret !== undefined)
      .reverse();
  }

  /** An expired secret is gone, and a destruction that has come due has happened. */
  find(id: string): StoredSecret | undefined {
    const secret = Object.hasOwn(this.#secrets, id) ? this.#secrets[id] : undefined;
    if (secret === undefined) return undefined;
    const now = this.now();
    if (secret.expireTime !== undefined && secret.expireTime <= now) {
      this.remove(id);
      return undefined;
    }
    for (const version of secret.versions) {
      const due = version.scheduledDestroyTime;
      if (due !== undefined && due <= now) this.destroy(version, due);
    }
    return secret;
  }

  /** Throws 409 when the id is taken. */
  create(id: string, made: NewSecret): StoredSecret {
    if (this.find(id) !== undefined) throw alreadyExists(`Secret [${this.secretName(id)}] already exists.`);
    const secret: StoredSecret = {
      id,
      createTime: this.now(),
      replication: made.replication,
      labels: made.labels ?? {},
      annotations: made.annotations ?? {},
      versionAliases: {},
      ...(made.expireTime === undefined ? {} : { expireTime: made.expireTime }),
      ...(made.versionDestroyTtlSeconds === undefined
        ? {}
        : { versionDestroyTtlSeconds: made.versionDestroyTtlSeconds }),
      etag: newEtag(),
      policy: { bindings: [], etag: newPolicyEtag() },
      versions: [],
    };
    this.#secrets[id] = secret;
    this.changed();
    return secret;
  }

  remove(id: string): void {
    delete this.#secrets[id];
    this.changed();
  }

  addVersion(secret: StoredSecret, payload: Buffer, clientSpecifiedPayloadChecksum: boolean): StoredVersion {
    const version: StoredVersion = {
      number: secret.versions.length + 1,
      createTime: this.now(),
      state: 'ENABLED',
      payload: payload.toString('base64'),
      clientSpecifiedPayloadChecksum,
      etag: newEtag(),
    };
    secret.versions.push(version);
    this.changed();
    return version;
  }

  destroy(version: StoredVersion, at: string): void {
    version.state = 'DESTROYED';
    version.destroyTime = at;
    delete version.payload;
    delete version.scheduledDestroyTime;
    version.etag = newEtag();
    this.changed();
  }

  /**
   * The secret of the call's path, once the caller may do this with it. Without the permission the answer is the same
   * 403 whether or not the secret exists; with it, 404 for one that does not.
   */
  authorizedSecret(call: Call, permission: Permission, below = ''): StoredSecret {
    const id = call.params['secret'] ?? '';
    const project = call.params['project'] ?? '';
    const secret = this.#isOurs(project) ? this.find(id) : undefined;
    requirePermission({
      caller: call.caller,
      permission,
      resource: `projects/${project}/secrets/${id}${below}`,
      bindings: [
        ...(this.#isOurs(project) ? this.#settings.bindings : []),
        ...(secret?.policy.bindings ?? []),
      ],
    });
    if (secret === undefined) throw notFound(`Secret [${this.secretName(id)}] not found.`);
    return secret;
  }

  authorizeProject(call: Call, permission: Permission): void {
    const project = call.params['project'] ?? '';
    requirePermission({
      caller: call.caller,
      permission,
      resource: `projects/${project}`,
      bindings: this.#isOurs(project) ? this.#settings.bindings : [],
    });
  }

  /** True when the secret of the call's path exists and its caller may do this with it. */
  holds(call: Call, permission: Permission): boolean {
    const secret = this.#isOurs(call.params['project'] ?? '')
      ? this.find(call.params['secret'] ?? '')
      : undefined;
    if (secret === undefined) return false;
    const bindings = [...this.#settings.bindings, ...secret.policy.bindings];
    return holdsPermission({ caller: call.caller, permission, bindings });
  }

  /** A version by number; by `latest` or an alias too where `aliases` says so. Throws 404 or 400. */
  version(secret: StoredSecret, id: string, aliases: boolean): StoredVersion {
    if (!/^[1-9]\d*$/.test(id)) {
      if (!aliases) {
        throw invalidArgument(
          `Version "${id}" must be a number here: an alias works only for reading a version.`,
        );
      }
      if (id === 'latest') return this.#latest(secret);
    }
    const alias = Object.hasOwn(secret.versionAliases, id) ? secret.versionAliases[id] : undefined;
    const number = Number(alias ?? id);
    const version = secret.versions.find((candidate) => candidate.number === number);
    if (version === undefined) {
      throw notFound(`Secret Version [${this.versionName(secret.id, id)}] not found.`);
    }
    return version;
  }

  #latest(secret: StoredSecret): StoredVersion {
    const latest = secret.versions.at(-1);
    if (latest === undefined) {
      throw notFound(`Secret [${this.secretName(secret.id)}] not found or has no versions.`);
    }
    return latest;
  }

  #isOurs(project: string): boolean {
    return project === this.#settings.projectId || project === this.#settings.projectNumber;
  }
}

/** Quotation marks are part of it. */
export const newEtag = (): string => `"${randomBytes(7).toString('hex')}"`;

export const newPolicyEtag = (): string => randomBytes(8).toString('base64');

/** An etag that is given must be the present one. https://cloud.google.com/secret-manager/docs/etags */
export function checkEtag(given: string | undefined, present: string): void {
  if (given === undefined || given === '' || given === present) return;
  throw failedPrecondition(`The etag ${given} does not match the present etag ${present}.`);
}
