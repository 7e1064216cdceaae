import { describe, expect, it } from 'vitest';
import { assemblePageScan } from '../../../bin/build-page-scan.ts';
import { PAGE_SCAN_BYTES } from '../../../shared/adapters/directory/page-scan-bytes.ts';

describe('the scan of a page, in WebAssembly', () => {
  it('is what its source assembles to (else: node bin/build-page-scan.ts)', async () => {
    expect(PAGE_SCAN_BYTES).toBe(await assemblePageScan());
  });
});
