import { permanent } from '../../../shared/errors.ts';
import type { Secrets } from '../../../shared/ports/secrets.ts';

/** Secret Manager in memory. */
export interface FakeSecrets extends Secrets {
  /** Puts this payload under a version's full name. */
  put(version: string, payload: Uint8Array): void;
  destroy(version: string): void;
  readonly versions: readonly string[];
  /** How often a version was read. */
  readonly reads: number;
}

export function fakeSecrets(): FakeSecrets {
  const payloads = new Map<string, Uint8Array | 'destroyed'>();
  let reads = 0;
  return {
    put: (version, payload) => {
      payloads.set(version, Uint8Array.from(payload));
    },
    destroy: (version) => {
      payloads.set(version, 'destroyed');
    },
    get versions() {
      return [...payloads.keys()];
    },
    get reads() {
      return reads;
    },
    read: async (version) => {
      reads += 1;
      const payload = payloads.get(version);
      if (payload === undefined) throw permanent('secret-missing', `There is no ${version}.`);
      if (payload === 'destroyed') throw permanent('secret-unreadable', `${version} is destroyed.`);
      return Uint8Array.from(payload);
    },
    add: async (secret, payload) => {
      const number = [...payloads.keys()].filter((name) => name.startsWith(`${secret}/versions/`)).length + 1;
      const version = `${secret}/versions/${number}`;
      payloads.set(version, Uint8Array.from(payload));
      return version;
    },
  };
}
