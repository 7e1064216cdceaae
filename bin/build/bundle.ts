/** One function's code in one file, and nothing of the others'. */
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { NOT_STARTED } from '../../functions/not-started.ts';

/** What Cloud Run functions calls in each bundle: `entry_point` in Terraform. A dash, as in `publish-crl`, is no name to export. */
export const ENTRY_POINT = 'handle';

export interface Bundle {
  /** Files of the bundle by name, such as `index.js`. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Bytes that each npm package, or each of our own folders, adds to `index.js`; largest first. */
  readonly parts: ReadonlyMap<string, number>;
}

/**
 * Bundles the function `name`: CommonJS, so that `require` and `__dirname` inside dependencies work as they are. Its
 * module exports `handle`. The functions framework is not in it: the platform's own process loads the module, and a
 * second copy of the framework inside would register functions that nobody asks for.
 *
 * Throws where the catalog has no such function.
 */
export const bundle = (root: string, name: string): Promise<Bundle> => bundleOf(root, name, entryOf(name));

/** The key service as a process of its own, for a container: `node index.js` serves, and needs nothing beside it. */
export const bundleKeyServer = (root: string): Promise<Bundle> =>
  bundleOf(
    root,
    'key-server',
    `import { main } from './functions/key-server/main.ts';
     void main();`,
  );

async function bundleOf(root: string, name: string, contents: string): Promise<Bundle> {
  const result = await build({
    stdin: { contents, resolveDir: root, sourcefile: `${name}.ts`, loader: 'ts' },
    absWorkingDir: root,
    outfile: 'index.js',
    write: false,
    metafile: true,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    minify: true,
    // Stack traces in the log name our functions; with the map and --enable-source-maps they name our lines too.
    keepNames: true,
    sourcemap: 'linked',
    sourcesContent: false,
    // Copyright notices that dependencies ask to keep go into a file beside it.
    legalComments: 'linked',
    // pg asks for it and lives without.
    external: ['pg-native'],
    plugins: [ownModulesOnlyDeclare],
    logLevel: 'silent',
  });
  const output = Object.entries(result.metafile.outputs).find(([path]) => path.endsWith('index.js'))?.[1];
  if (output === undefined) throw new Error(`bug: esbuild wrote no index.js for ${name}`);
  return {
    files: new Map(
      result.outputFiles
        .filter(({ contents }) => contents.length > 0)
        .map(({ path, contents }) => [path.slice(path.lastIndexOf('/') + 1), contents]),
    ),
    parts: partsOf(output.inputs),
  };
}

/** Registers nothing: it exports the one function, built at its first request. */
function entryOf(name: string): string {
  const build = `build${inCapitals(name)}`;
  const notStarted = name in NOT_STARTED ? `notStarted${inCapitals(name)}` : 'undefined';
  return `
  import { builtOnce } from './functions/built-once.ts';
  import { ${build} } from './functions/catalog.ts';
  ${notStarted === 'undefined' ? '' : `import { ${notStarted} } from './functions/not-started.ts';`}
  export const ${ENTRY_POINT} = builtOnce('${name}', ${build}, process.env, {}, ${notStarted});
`;
}

/** `publish-crl` is built by `buildPublishCrl`. */
const inCapitals = (name: string): string =>
  name
    .split('-')
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join('');

/**
 * Tells esbuild that our modules do nothing when they are loaded, only declare; so a module of which nothing is used
 * is left out, together with the packages it imports. Without this every bundle would hold every adapter and SDK.
 */
const ownModulesOnlyDeclare: Plugin = {
  name: 'own-modules-only-declare',
  setup(building) {
    building.onResolve({ filter: /^\.\.?\/.*\.ts$/ }, (request) => ({
      path: join(request.resolveDir, request.path),
      sideEffects: false,
    }));
  },
};

function partsOf(inputs: Readonly<Record<string, { readonly bytesInOutput: number }>>): Map<string, number> {
  const parts = new Map<string, number>();
  for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
    const part = partOf(path);
    parts.set(part, (parts.get(part) ?? 0) + bytesInOutput);
  }
  return new Map([...parts].filter(([, bytes]) => bytes > 0).toSorted(([, a], [, b]) => b - a));
}

function partOf(path: string): string {
  const [, inside] = path.split(/.*node_modules\//s);
  if (inside === undefined) return path.split('/').slice(0, -1).join('/') || path;
  return inside
    .split('/')
    .slice(0, inside.startsWith('@') ? 2 : 1)
    .join('/');
}
