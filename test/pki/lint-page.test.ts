import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { CHAIN_RULES } from '../../shared/pki/chain-rules.ts';
import { CRL_RULES } from '../../shared/pki/lint-crl.ts';
import { PROFILES } from '../../shared/pki/profile.ts';
import { RULES } from '../../shared/pki/rules.ts';
import { lintPage } from './lint-page.ts';

const PAGE = join(import.meta.dirname, '../../docs/lint.md');

describe('docs/lint.md', () => {
  it('says what the rules and profiles say, word for word', async () => {
    await expect(lintPage()).toMatchFileSnapshot(PAGE);
  });

  test.each([
    ...Object.keys(CHAIN_RULES),
    ...Object.keys(RULES),
    ...Object.keys(CRL_RULES),
    ...PROFILES.map(({ name }) => name),
  ])('has a row for %s', (id) => {
    expect(readFileSync(PAGE, 'utf8')).toContain(`\n| \`${id}\` |`);
  });
});
