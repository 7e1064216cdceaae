import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duplicateMember } from '../../shared/kacls/duplicate-members.ts';

describe('looking for a name that stands twice in a JSON object', () => {
  it.each([
    ['{"a":1,"a":2}', 'a'],
    ['{"a":1,"b":2,"\\u0061":3}', 'a'],
    ['{ "a" : "x,y" , "b" : {} , "a" : [] }', 'a'],
    ['{"a":{"b":1},"b":[{"a":1}],"b":2}', 'b'],
    ['{"":1,"":2}', ''],
    ['{"a\\"":1,"a\\"":2}', 'a"'],
    ['{"__proto__":1,"__proto__":2}', '__proto__'],
    [`{"a"${' '.repeat(500)}:1,"a":2}`, 'a'],
  ])('finds it in %s', (json, expected) => {
    expect(() => JSON.parse(json)).not.toThrow();
    expect(duplicateMember(json)).toBe(expected);
  });

  it.each([
    '{}',
    '{"a":"a","b":"a"}',
    '{"a":["a","a"],"b":{"a":1}}',
    '{"a":"\\"a\\":1,","b":"{\\"b\\":1"}',
    '{"a":{"c":1,"c":2}}',
    '["a","a"]',
    '"a"',
    '7',
  ])('finds none in the outermost object of %s', (json) => {
    expect(() => JSON.parse(json)).not.toThrow();
    expect(duplicateMember(json)).toBeUndefined();
  });

  it('finds none in anything that was serialised from an object, and one when a member is repeated', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), (object) => {
        const json = JSON.stringify(object);
        expect(duplicateMember(json)).toBeUndefined();
        const [name] = Object.keys(object);
        expect(duplicateMember(`${json.slice(0, -1)},${JSON.stringify(name)}:0}`)).toBe(name);
      }),
    );
  });

  it('takes a million nested lists without running out of stack', () => {
    expect(duplicateMember(`{"a":${'['.repeat(1e6)}${']'.repeat(1e6)},"a":1}`)).toBe('a');
  });
});
