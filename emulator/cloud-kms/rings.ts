import { randomBytes } from 'node:crypto';
import type { EmulatorContext } from '../core/context.ts';
import { alreadyExists, failedPrecondition, GoogleError, notFound } from '../core/google-error.ts';
import type { Binding } from '../core/iam.ts';
import type { Call } from '../core/route.ts';
import { type Permission, requirePermission } from './access.ts';
import { makeMaterial, purposeOf } from './algorithms.ts';
import type { Algorithm, Policy, StoredKey, StoredRing, StoredVersion } from './records.ts';

export interface CloudKmsSettings {
  /** `acme-sealwright`. */
  readonly projectId: string;
  /** Decimal digits; requests may name the project by it. */
  readonly projectNumber: string;
  /** Roles granted on the whole project. */
  readonly bindings: readonly Binding[];
}

export interface NewKey {
  readonly algorithm: Algorithm;
  readonly protectionLevel: StoredKey['protectionLevel'];
  readonly labels?: Record<string, string>;
  readonly rotationPeriodSeconds?: number;
  readonly nextRotationTime?: string;
  readonly destroyAfterSeconds?: number;
}

/** Google's default for `destroyScheduledDuration`. */
export const DESTROY_AFTER_SECONDS = 30 * 86_400;

/** The key rings of the project: finding, making, and the passing of time over them. */
export class Rings {
  readonly #context: EmulatorContext;
  readonly #settings: CloudKmsSettings;
  readonly #rings: Record<string, StoredRing>;

  constructor(context: EmulatorContext, settings: CloudKmsSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#rings = context.state.section('cloudKms', () => ({}));
  }

  now(): string {
    return this.#context.clock.now().toISOString();
  }

  changed(): void {
    this.#context.state.changed();
  }

  ringName(ring: StoredRing): string {
    return `projects/${this.#settings.projectId}/locations/${ring.location}/keyRings/${ring.id}`;
  }

  keyName(ring: StoredRing, key: StoredKey): string {
    return `${this.ringName(ring)}/cryptoKeys/${key.id}`;
  }

  versionName(ring: StoredRing, key: StoredKey, version: StoredVersion): string {
    return `${this.keyName(ring, key)}/cryptoKeyVersions/${version.number}`;
  }

  ringsIn(location: string): readonly StoredRing[] {
    return Object.values(this.#rings).filter((ring) => ring.location === location);
  }

  findRing(location: string, id: string): StoredRing | undefined {
    const at = `${location}/${id}`;
    return Object.hasOwn(this.#rings, at) ? this.#rings[at] : undefined;
  }

  /** Throws 409 when the id is taken. Key rings can never be deleted, as at Google. */
  createRing(location: string, id: string): StoredRing {
    if (this.findRing(location, id) !== undefined)
      throw alreadyExists(
        `KeyRing projects/${this.#settings.projectId}/locations/${location}/keyRings/${id} already exists.`,
      );
    const ring: StoredRing = { location, id, createTime: this.now(), policy: emptyPolicy(), keys: {} };
    this.#rings[`${location}/${id}`] = ring;
    this.changed();
    return ring;
  }

  /** Destructions that have come due have happened, and so have rotations. */
  findKey(ring: StoredRing, id: string): StoredKey | undefined {
    const key = Object.hasOwn(ring.keys, id) ? ring.keys[id] : undefined;
    if (key === undefined) return undefined;
    for (const version of key.versions) {
      if (version.state === 'DESTROY_SCHEDULED' && (version.destroyTime ?? '') <= this.now())
        this.#destroy(version);
    }
    this.#rotate(key);
    return key;
  }

  createKey(ring: StoredRing, id: string, made: NewKey): StoredKey {
    if (Object.hasOwn(ring.keys, id))
      throw alreadyExists(`CryptoKey ${this.ringName(ring)}/cryptoKeys/${id} already exists.`);
    const key: StoredKey = {
      id,
      createTime: this.now(),
      purpose: purposeOf(made.algorithm),
      algorithm: made.algorithm,
      protectionLevel: made.protectionLevel,
      labels: made.labels ?? {},
      ...(made.nextRotationTime === undefined ? {} : { nextRotationTime: made.nextRotationTime }),
      ...(made.rotationPeriodSeconds === undefined
        ? {}
        : { rotationPeriodSeconds: made.rotationPeriodSeconds }),
      destroyAfterSeconds: made.destroyAfterSeconds ?? DESTROY_AFTER_SECONDS,
      policy: emptyPolicy(),
      versions: [],
    };
    ring.keys[id] = key;
    this.changed();
    return key;
  }

  /** A new version, enabled at once (Google shows PENDING_GENERATION for some seconds first). */
  async createVersion(key: StoredKey): Promise<StoredVersion> {
    return this.addVersion(key, await makeMaterial(key.algorithm));
  }

  addVersion(key: StoredKey, material: Buffer): StoredVersion {
    const version: StoredVersion = {
      number: key.versions.length + 1,
      createTime: this.now(),
      algorithm: key.algorithm,
      state: 'ENABLED',
      material: material.toString('base64'),
    };
    key.versions.push(version);
    this.changed();
    return version;
  }

  scheduleDestruction(key: StoredKey, version: StoredVersion): void {
    version.state = 'DESTROY_SCHEDULED';
    version.destroyTime = new Date(
      this.#context.clock.nowMs() + key.destroyAfterSeconds * 1000,
    ).toISOString();
    this.changed();
  }

  /** Every binding that bears on the resource: the project's, the ring's, the key's. */
  authorize(call: Call, permission: Permission, resource: string, policies: readonly Policy[]): void {
    requirePermission({
      caller: call.caller,
      permission,
      resource,
      bindings: [
        ...(this.#isOurs(call.params['project'] ?? '') ? this.#settings.bindings : []),
        ...policies.flatMap((policy) => policy.bindings),
      ],
    });
  }

  /** The ring of the call's path, once the caller may do this with it: 403 before 404, as Google has it. */
  ring(call: Call, permission: Permission): StoredRing {
    const ring = this.#ringOf(call);
    const name = `projects/${call.params['project']}/locations/${call.params['location']}/keyRings/${call.params['ring']}`;
    this.authorize(call, permission, name, ring === undefined ? [] : [ring.policy]);
    if (ring === undefined) throw notFound(`KeyRing ${name} not found.`);
    return ring;
  }

  key(call: Call, permission: Permission, below = ''): { ring: StoredRing; key: StoredKey } {
    const ring = this.#ringOf(call);
    const key = ring === undefined ? undefined : this.findKey(ring, call.params['key'] ?? '');
    const name = `projects/${call.params['project']}/locations/${call.params['location']}/keyRings/${call.params['ring']}/cryptoKeys/${call.params['key']}`;
    const policies = [ring?.policy, key?.policy].filter((policy) => policy !== undefined);
    this.authorize(call, permission, `${name}${below}`, policies);
    if (ring === undefined || key === undefined) throw notFound(`CryptoKey ${name} not found.`);
    return { ring, key };
  }

  version(call: Call, permission: Permission): { ring: StoredRing; key: StoredKey; version: StoredVersion } {
    const id = call.params['version'] ?? '';
    const { ring, key } = this.key(call, permission, `/cryptoKeyVersions/${id}`);
    const version = key.versions.find((candidate) => String(candidate.number) === id);
    if (version === undefined)
      throw notFound(`CryptoKeyVersion ${this.keyName(ring, key)}/cryptoKeyVersions/${id} not found.`);
    return { ring, key, version };
  }

  /** The material of a version that may be used. Throws 400 FAILED_PRECONDITION in Google's words otherwise. */
  usable(ring: StoredRing, key: StoredKey, version: StoredVersion): Buffer {
    if (version.state === 'ENABLED' && version.material !== undefined)
      return Buffer.from(version.material, 'base64');
    const name = this.versionName(ring, key, version);
    throw failedPrecondition(`${name} is not enabled, current state is: ${version.state}.`, {
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.PreconditionFailure',
          violations: [
            {
              type: `KEY_${version.state}`,
              subject: `cloudkms.googleapis.com/${name}`,
              description: `${name} is not enabled, current state is: ${version.state}.`,
            },
          ],
        },
      ],
    });
  }

  #ringOf(call: Call): StoredRing | undefined {
    if (!this.#isOurs(call.params['project'] ?? '')) return undefined;
    return this.findRing(call.params['location'] ?? '', call.params['ring'] ?? '');
  }

  #destroy(version: StoredVersion): void {
    version.state = 'DESTROYED';
    if (version.destroyTime !== undefined) version.destroyEventTime = version.destroyTime;
    delete version.destroyTime;
    delete version.material;
    this.changed();
  }

  #rotate(key: StoredKey): void {
    const { rotationPeriodSeconds } = key;
    if (key.nextRotationTime === undefined || key.nextRotationTime > this.now()) return;
    key.primary = this.addVersion(key, randomBytes(32)).number;
    if (rotationPeriodSeconds === undefined) {
      delete key.nextRotationTime;
      return;
    }
    // One new version however long the clock was moved, as a rotation that was missed is not made up for.
    let next = Date.parse(key.nextRotationTime);
    while (next <= this.#context.clock.nowMs()) next += rotationPeriodSeconds * 1000;
    key.nextRotationTime = new Date(next).toISOString();
  }

  #isOurs(project: string): boolean {
    return project === this.#settings.projectId || project === this.#settings.projectNumber;
  }
}

export const newPolicyEtag = (): string => randomBytes(8).toString('base64');

const emptyPolicy = (): Policy => ({ bindings: [], etag: newPolicyEtag() });

export const notEmulated = (what: string) =>
  new GoogleError(501, 'notImplemented', `The emulator has no ${what}.`);
