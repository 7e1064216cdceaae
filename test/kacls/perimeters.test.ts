import { describe, expect, it } from 'vitest';
import { claimsOfPerimeters, type Perimeter, perimeterAdmits } from '../../shared/kacls/perimeters.ts';

const person = (address: string, claims: Record<string, unknown> = {}) => ({ address, claims });
const admits = (perimeter: Omit<Perimeter, 'id'>, address: string, claims: Record<string, unknown> = {}) =>
  perimeterAdmits([{ id: 'p', ...perimeter }], 'p', person(address, claims));

describe('a perimeter', () => {
  it('means nothing where none are configured', () => {
    expect(perimeterAdmits(undefined, 'anything', person('a@b.example'))).toBe(true);
  });

  it('that is not configured admits nobody, except the empty one', () => {
    expect(perimeterAdmits([], 'anything', person('a@b.example'))).toBe(false);
    expect(perimeterAdmits([], '', person('a@b.example'))).toBe(true);
    expect(perimeterAdmits([{ id: '', emails: [] }], '', person('a@b.example'))).toBe(false);
  });

  it.each<[string, Omit<Perimeter, 'id'>, string, boolean]>([
    ['no condition', {}, 'a@b.example', true],
    ['its domain', { domains: ['b.example'] }, 'a@b.example', true],
    ['its domain in capitals', { domains: ['B.Example'] }, 'a@b.EXAMPLE', true],
    ['another domain', { domains: ['b.example'] }, 'a@c.example', false],
    ['a subdomain', { domains: ['b.example'] }, 'a@x.b.example', false],
    ['a domain that ends alike', { domains: ['b.example'] }, 'a@xb.example', false],
    ['an address of two domains, by the last', { domains: ['b.example'] }, '"a@b.example"@c.example', false],
    ['its address', { emails: ['A@b.example'] }, 'a@b.example', true],
    ['another address', { emails: ['a@b.example'] }, 'x@b.example', false],
    [
      'an address beside its domains',
      { domains: ['c.example'], emails: ['a@b.example'] },
      'a@b.example',
      true,
    ],
    [
      'a blocked address of its domain',
      { domains: ['b.example'], blockedEmails: ['A@B.example'] },
      'a@b.example',
      false,
    ],
    ['empty lists', { domains: [], emails: [] }, 'a@b.example', false],
  ])('with %s', (_what, perimeter, address, expected) => {
    expect(admits(perimeter, address)).toBe(expected);
  });

  it.each<[string, Record<string, unknown>, boolean]>([
    ['the text itself', { groups: 'board' }, true],
    ['a list that holds it', { groups: ['staff', 'board'] }, true],
    ['another of the texts', { groups: 'audit' }, true],
    ['another text', { groups: 'boards' }, false],
    ['a list without it', { groups: ['staff'] }, false],
    ['a list in a list', { groups: [['board']] }, false],
    ['no such claim', {}, false],
    ['null', { groups: null }, false],
    ['an object', { groups: { board: true } }, false],
  ])('that asks for a claim takes %s', (_what, claims, expected) => {
    expect(admits({ claims: { groups: ['board', 'audit'] } }, 'a@b.example', claims)).toBe(expected);
  });

  it('that asks for several things wants all of them', () => {
    const perimeter = { domains: ['b.example'], claims: { groups: ['board'], amr: ['hwk'] } };
    const claims = { groups: ['board'], amr: ['pwd', 'hwk'] };
    expect(admits(perimeter, 'a@b.example', claims)).toBe(true);
    expect(admits(perimeter, 'a@c.example', claims)).toBe(false);
    expect(admits(perimeter, 'a@b.example', { ...claims, amr: ['pwd'] })).toBe(false);
  });

  it('does not find in a token what every object has', () => {
    expect(admits({ claims: { constructor: ['Object'] } }, 'a@b.example')).toBe(false);
  });

  it('names the claims it asks for, once each', () => {
    expect(
      claimsOfPerimeters([
        { id: 'a', claims: { groups: ['x'], amr: ['y'] } },
        { id: 'b', claims: { groups: ['z'] } },
        { id: 'c' },
      ]),
    ).toEqual(['groups', 'amr']);
    expect(claimsOfPerimeters(undefined)).toEqual([]);
  });
});
