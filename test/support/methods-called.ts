/** Which methods of the ledger the code of each deployed function calls, as the bundler keeps it. */
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { FUNCTION_NAMES, type FunctionName } from '../../functions/catalog.ts';

const ROOT = join(import.meta.dirname, '../..');

/** An entry for each function, and, as in bin/build/bundle.ts, nothing of a module of ours that nobody uses. */
const functionsApart: Plugin = {
  name: 'functions-apart',
  setup(bundler) {
    bundler.onResolve({ filter: /^function:/ }, ({ path }) => ({ path, namespace: 'entry' }));
    bundler.onLoad({ filter: /.*/, namespace: 'entry' }, ({ path }) => {
      const name = path.slice('function:'.length);
      const built = `build-${name}`.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
      return { contents: `export { ${built} } from './functions/catalog.ts'`, resolveDir: ROOT };
    });
    bundler.onResolve({ filter: /^\./ }, async ({ path, pluginData, resolveDir, kind, importer }) => {
      if (pluginData === 'asked') return undefined;
      const found = await bundler.resolve(path, { resolveDir, kind, importer, pluginData: 'asked' });
      return { ...found, sideEffects: false };
    });
  },
};

/** Of these methods. Too many rather than too few: whatever is called by the name of one counts. */
export const methodsCalled = async (
  methods: ReadonlySet<string>,
): Promise<ReadonlyMap<FunctionName, ReadonlySet<string>>> => {
  const { outputFiles } = await build({
    entryPoints: Object.fromEntries(FUNCTION_NAMES.map((name) => [name, `function:${name}`])),
    absWorkingDir: ROOT,
    outdir: 'nowhere',
    write: false,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    plugins: [functionsApart],
  });
  return new Map(
    FUNCTION_NAMES.map((name) => {
      const text = outputFiles.find(({ path }) => path.endsWith(`/${name}.js`))?.text ?? '';
      // One part for each file, which its name leads in.
      const parts = text
        .split(/^\/\/ (?=\S+\.ts$)/m)
        .filter((part) => !part.startsWith('shared/adapters/ledger/'));
      const called = parts.flatMap((part) =>
        [...part.matchAll(/\.(\w+)\(/g)].map(([, found]) => found ?? ''),
      );
      return [name, new Set(called.filter((found) => methods.has(found)))] as const;
    }),
  );
};
