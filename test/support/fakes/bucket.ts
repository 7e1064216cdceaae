import { retryable } from '../../../shared/errors.ts';
import type { Bucket } from '../../../shared/ports/bucket.ts';
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
    write: async ({ name, ifGeneration, ...object }) => {
      const current = cell.now.objects.get(name)?.generation ?? '0';
      if (current !== ifGeneration)
        throw retryable('storage-precondition', `Object ${name} is of generation ${current} now.`);
      return { generation: put(name, object) };
    },
  };
}
