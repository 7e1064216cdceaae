import { createHash } from 'node:crypto';
import crc32c from 'crc-32/crc32c.js';
import type { Caller } from '../core/access-tokens.ts';
import type { EmulatorContext } from '../core/context.ts';
import type { BucketSettings, StoredBucket, StoredObject } from './records.ts';
import { accessDenied, noBucket, type StoragePermission } from './refusals.ts';

export interface NewObject {
  readonly name: string;
  readonly content: Buffer;
  readonly contentType: string;
  readonly cacheControl?: string;
  readonly contentDisposition?: string;
  readonly contentEncoding?: string;
  readonly contentLanguage?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The buckets the wiring made, their live objects, and who may do what with them. */
export class Buckets {
  readonly #context: EmulatorContext;
  readonly #settings: ReadonlyMap<string, BucketSettings>;
  readonly #buckets: Record<string, StoredBucket>;

  constructor(context: EmulatorContext, settings: readonly BucketSettings[]) {
    this.#context = context;
    this.#settings = new Map(settings.map((bucket) => [bucket.name, bucket]));
    this.#buckets = context.state.section('buckets', () => ({}));
    for (const { name } of settings) {
      if (!/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/.test(name)) {
        throw new RangeError(
          `"${name}" is no bucket name: 3 to 63 lower-case letters, digits, dots, hyphens, underscores.`,
        );
      }
      if (Object.hasOwn(this.#buckets, name)) continue;
      this.#buckets[name] = {
        createTime: context.clock.now().toISOString(),
        lastGeneration: '0',
        objects: {},
      };
      context.state.changed();
    }
  }

  /** Throws 404 for a bucket that does not exist, 401 or 403 for a caller who may not. */
  authorize(bucket: string, caller: Caller | undefined, permission: StoragePermission): void {
    const settings = this.#settings.get(bucket);
    if (settings === undefined) throw noBucket();
    if (!may(settings, caller, permission)) throw accessDenied(caller, permission);
  }

  isPublic(bucket: string): boolean {
    return this.#settings.get(bucket)?.publicRead ?? false;
  }

  find(bucket: string, name: string): StoredObject | undefined {
    const objects = this.#bucket(bucket).objects;
    return Object.hasOwn(objects, name) ? objects[name] : undefined;
  }

  /** In order of their names' UTF-8 bytes, as Google lists them. */
  list(bucket: string): readonly StoredObject[] {
    return Object.values(this.#bucket(bucket).objects).sort((left, right) =>
      Buffer.compare(Buffer.from(left.name), Buffer.from(right.name)),
    );
  }

  /** Replaces the live object of that name under a new, larger generation. */
  put(bucket: string, made: NewObject): StoredObject {
    const stored = this.#bucket(bucket);
    const { content, ...described } = made;
    const generation = this.#nextGeneration(stored);
    const object: StoredObject = {
      ...described,
      generation,
      metageneration: '1',
      content: content.toString('base64'),
      ...hashesOf(content),
      size: String(content.length),
      timeCreated: this.#context.clock.now().toISOString(),
    };
    stored.objects[made.name] = object;
    this.#context.state.changed();
    return object;
  }

  remove(bucket: string, name: string): void {
    delete this.#bucket(bucket).objects[name];
    this.#context.state.changed();
  }

  /** Microseconds of the emulator's clock, but always more than the last one. */
  #nextGeneration(bucket: StoredBucket): string {
    const now = BigInt(Math.floor(this.#context.clock.nowMs())) * 1000n;
    const last = BigInt(bucket.lastGeneration);
    bucket.lastGeneration = String(now > last ? now : last + 1n);
    return bucket.lastGeneration;
  }

  #bucket(name: string): StoredBucket {
    const bucket = this.#settings.has(name) ? this.#buckets[name] : undefined;
    if (bucket === undefined) throw noBucket();
    return bucket;
  }
}

export function hashesOf(content: Buffer): { md5Hash: string; crc32c: string } {
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32c.buf(content) >>> 0);
  return {
    md5Hash: createHash('md5').update(content).digest('base64'),
    crc32c: checksum.toString('base64'),
  };
}

function may(bucket: BucketSettings, caller: Caller | undefined, permission: StoragePermission): boolean {
  if (permission === 'storage.objects.get' && bucket.publicRead === true) return true;
  if (caller === undefined) return false;
  const isIn = (members: readonly string[] = []) => members.includes(caller.email);
  if (isIn(bucket.objectAdmins)) return true;
  switch (permission) {
    case 'storage.objects.create':
      return isIn(bucket.objectCreators);
    case 'storage.objects.get':
    case 'storage.objects.list':
      return isIn(bucket.objectViewers);
    case 'storage.objects.delete':
      return false;
    default:
      return permission satisfies never;
  }
}
