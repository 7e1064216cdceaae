import { permanent } from '../../../shared/errors.ts';
import type { Secrets } from '../../../shared/ports/secrets.ts';
import { type Saved, stateCell } from './state.ts';

/** Secret Manager in memory. */
export interface FakeSecrets extends Secrets, Saved {
  /** Puts this payload under a version's full name. */
  put(version: string, payload: Uint8Array): void;
  destroy(version: string): void;
  readonly versions: readonly string[];
  /** How often a version was read. */
  readonly reads: number;
}

export function fakeSecrets(): FakeSecrets {
  const cell = stateCell(new Map<string, Uint8Array | 'destroyed'>());
  let reads = 0;
  let last = 0;
  return {
    save: cell.save,
    put: (version, payload) => {
      cell.now.set(version, Uint8Array.from(payload));
    },
    destroy: (version) => {
      cell.now.set(version, 'destroyed');
    },
    get versions() {
      return [...cell.now.keys()];
    },
    get reads() {
      return reads;
    },
    read: async (version) => {
      reads += 1;
      const payload = cell.now.get(version);
      if (payload === undefined) throw permanent('secret-missing', `There is no ${version}.`);
      if (payload === 'destroyed') throw permanent('secret-unreadable', `${version} is destroyed.`);
      return Uint8Array.from(payload);
    },
    add: async (secret, payload) => {
      // A version's number is never given again, whatever is put back.
      last += 1;
      const version = `${secret}/versions/${last}`;
      cell.now.set(version, Uint8Array.from(payload));
      return version;
    },
  };
}
