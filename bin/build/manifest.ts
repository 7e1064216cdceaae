/** What stands beside a bundle so that the platform installs the functions framework, the tested version and no other. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const FRAMEWORK = '@google-cloud/functions-framework';
/** The major of the deployed runtime, `nodejs24`. */
const NODE = '24.x';

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/**
 * `package.json` and `package-lock.json` of one deployed function, as texts. The lock is the part of ours that the
 * framework needs, so that `npm ci` at deployment gets the very files that the tests ran with. Throws where our own
 * lock does not hold them.
 */
export function manifestOf(root: string, name: string): ReadonlyMap<string, string> {
  const lock: Lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const { version }: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const framework = lock.packages[`node_modules/${FRAMEWORK}`];
  if (framework === undefined) throw new Error(`package-lock.json does not hold ${FRAMEWORK}.`);
  const manifest = {
    name: `sealwright-${name}`,
    version,
    private: true,
    main: 'index.js',
    engines: { node: NODE },
    dependencies: { [FRAMEWORK]: framework.version },
  };
  const { private: _, main: __, ...rootEntry } = manifest;
  return new Map([
    ['package.json', json(manifest)],
    [
      'package-lock.json',
      json({
        name: manifest.name,
        version,
        lockfileVersion: 3,
        requires: true,
        packages: { '': rootEntry, ...closureOf(lock, FRAMEWORK) },
      }),
    ],
  ]);
}

/** A package and everything it needs, at the places where our lock has them, in the order of their paths. */
function closureOf(lock: Lock, name: string): Readonly<Record<string, LockedPackage>> {
  const found = new Map<string, LockedPackage>();
  const waiting = [{ from: '', name }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const path = nearest(lock, next.from, next.name);
    const locked = lock.packages[path];
    if (locked === undefined)
      throw new Error(`package-lock.json does not hold ${next.name}, which is needed.`);
    if (found.has(path)) continue;
    found.set(path, locked);
    for (const dependency of Object.keys(locked.dependencies ?? {}))
      waiting.push({ from: path, name: dependency });
  }
  return Object.fromEntries([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Node's own search: beside the package that asks, then one folder up, and so on. */
function nearest(lock: Lock, from: string, name: string): string {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
    if (folder === '' || lock.packages[path] !== undefined) return path;
  }
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
