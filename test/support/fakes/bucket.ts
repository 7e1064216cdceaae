import { retryable } from '../../../shared/errors.ts';
import type { Bucket, ObjectParts } from '../../../shared/ports/bucket.ts';
import { type Saved, stateCell } from './state.ts';

export interface StoredObject {
  readonly bytes: Uint8Array;
  readonly generation: string;
  readonly contentType: string;
  readonly cacheControl: string;
}

/** A bucket in memory with generations and their precondition. */
export interface FakeBucket extends Bucket, Saved {
  object(name: string): StoredObject | undefined;
  readonly names: readonly string[];
  /** Puts bytes there without asking for a generation, as somebody with access would. */
  overwrite(name: string, bytes: Uint8Array): void;
}

/** Cut where no CRL would be. */
const PART_BYTES = 100;

export async function* inParts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PART_BYTES) yield bytes.subarray(at, at + PART_BYTES);
}

async function joined(parts: ObjectParts): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const part of parts()) all.push(part);
  return Buffer.concat(all);
}

export function fakeBucket(): FakeBucket {
  const cell = stateCell({ objects: new Map<string, StoredObject>(), lastGeneration: 1_700_000_000_000_000 });
  const put = (name: string, object: Omit<StoredObject, 'generation'>): string => {
    cell.now.lastGeneration += 1;
    const generation = String(cell.now.lastGeneration);
    cell.now.objects.set(name, { ...object, bytes: Uint8Array.from(object.bytes), generation });
    return generation;
  };
  return {
    save: cell.save,
    object: (name) => cell.now.objects.get(name),
    get names() {
      return [...cell.now.objects.keys()].sort();
    },
    overwrite: (name, bytes) => {
      put(name, { bytes, contentType: 'application/octet-stream', cacheControl: '' });
    },
    read: async (name) => {
      const object = cell.now.objects.get(name);
      return object === undefined
        ? undefined
        : { bytes: Uint8Array.from(object.bytes), generation: object.generation };
    },
    readParts: async (name) => {
      const object = cell.now.objects.get(name);
      return object === undefined
        ? undefined
        : { parts: inParts(Uint8Array.from(object.bytes)), generation: object.generation };
    },
    write: async ({ name, ifGeneration, bytes, ...rest }) => {
      const object = { ...rest, bytes: typeof bytes === 'function' ? await joined(bytes) : bytes };
      const current = cell.now.objects.get(name)?.generation ?? '0';
      if (current !== ifGeneration)
        throw retryable('storage-precondition', `Object ${name} is of generation ${current} now.`);
      return { generation: put(name, object) };
    },
  };
}
