/**
 * `node bin/build-page-scan.ts` assembles `shared/adapters/directory/page-scan.wat` into `page-scan-bytes.ts` beside it. A test
 * compares the two.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import wabt from 'wabt';

const FOLDER = join(import.meta.dirname, '../shared/adapters/directory');

/** The WebAssembly module, in base64. */
export async function assemblePageScan(): Promise<string> {
  const assembler = await wabt();
  const source = readFileSync(join(FOLDER, 'page-scan.wat'), 'utf8');
  const module = assembler.parseWat('page-scan.wat', source, { simd: true, mutable_globals: true });
  try {
    module.validate();
    return Buffer.from(module.toBinary({}).buffer).toString('base64');
  } finally {
    module.destroy();
  }
}

if (import.meta.main) {
  const assembled = await assemblePageScan();
  writeFileSync(
    join(FOLDER, 'page-scan-bytes.ts'),
    `/** \`page-scan.wat\`, assembled by \`node bin/build-page-scan.ts\`; in base64, so that it is in the bundle. */\nexport const PAGE_SCAN_BYTES =\n  '${assembled}';\n`,
  );
}
