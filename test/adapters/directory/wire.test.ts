import { describe, expect, test } from 'vitest';
import { ourAddress, toDirectoryUser } from '../../../shared/adapters/directory/wire.ts';

describe('an address of the directory', () => {
  test.each([
    ['Ana@Acme.Example', 'ana@acme.example'],
    ['ana@bücher.example', 'ana@xn--bcher-kva.example'],
    ['ana@xn--bcher-kva.example', 'ana@xn--bcher-kva.example'],
    ['"a@b"@acme.example', '"a@b"@acme.example'],
  ])('%s is %s for us, the form that certificates print', (text, ours) => {
    expect(ourAddress(text)).toBe(ours);
  });

  test('given in both forms is one alias, not two', () => {
    const user = toDirectoryUser({
      id: '1',
      primaryEmail: 'ana@bücher.example',
      aliases: ['a@bücher.example', 'a@xn--bcher-kva.example', 'ana@xn--bcher-kva.example'],
      orgUnitPath: '/',
    });
    expect(user.aliases).toEqual(['a@xn--bcher-kva.example']);
  });
});
