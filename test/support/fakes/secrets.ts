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
  /** A version's number is never given again, whatever is put back. */
  const lastOf = new Map<string, number>();
  const latestOf = (secret: string) =>
    Math.max(
      lastOf.get(secret) ?? 0,
      ...[...cell.now.keys()]
        .filter((name) => name.startsWith(`${secret}/versions/`))
        .map((name) => Number(name.slice(name.lastIndexOf('/') + 1))),
    );
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
    listVersions: async (secret) => {
      const there = [...cell.now].flatMap(([name, payload]) =>
        name.startsWith(`${secret}/versions/`)
          ? [{ name, state: payload === 'destroyed' ? ('DESTROYED' as const) : ('ENABLED' as const) }]
          : [],
      );
      const latest = `${secret}/versions/${latestOf(secret)}`;
      return latestOf(secret) === 0 || there.some(({ name }) => name === latest)
        ? there
        : [...there, { name: latest, state: 'DESTROYED' }];
    },
    add: async (secret, payload) => {
      lastOf.set(secret, latestOf(secret) + 1);
      const version = `${secret}/versions/${latestOf(secret)}`;
      cell.now.set(version, Uint8Array.from(payload));
      return version;
    },
  };
}
