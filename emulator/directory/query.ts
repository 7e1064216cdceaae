/**
 * The search language of users.list: clauses parted by blanks, all of which must hold.
 * https://developers.google.com/workspace/admin/directory/v1/guides/search-users
 *
 * Not offered: fields about phones, postal addresses, organizations, managers, external ids and custom schemas. They
 * are refused like unknown ones, so that a search never answers with people it did not look at.
 */

import type { UserRecord } from './records.ts';
import { invalidInput } from './refusals.ts';
import { addressesOf, type Tenant } from './tenant.ts';

export type UserTest = (user: UserRecord) => boolean;

interface Clause {
  /** Empty for a bare word. */
  readonly field: string;
  readonly operator: '=' | ':' | '';
  readonly value: string;
  /** `:prefix*`, possible only without quotes or with the star inside them. */
  readonly prefix: boolean;
}

/**
 * Throws 400 `Invalid Input: query` for what cannot be understood, `Invalid Input: INVALID_OU_ID` for a unit that
 * does not exist. `adminView`: searching by unit or state needs it.
 */
export function parseUserQuery(text: string, tenant: Tenant, adminView: boolean): UserTest {
  const tests = clausesOf(text).map((clause) => testOf(clause, tenant, adminView));
  return (user) => tests.every((test) => test(user));
}

function clausesOf(text: string): readonly Clause[] {
  const clauses: Clause[] = [];
  const pattern =
    /\s*(?:([A-Za-z.]+)\s*([=:])\s*)?(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s'"]+))(?=\s|$)/y;
  let rest = text.trimEnd();
  while (rest.length > 0) {
    pattern.lastIndex = 0;
    const match = pattern.exec(rest);
    if (match === null) throw invalidInput('query');
    const quoted = match[3] ?? match[4];
    const raw = quoted === undefined ? (match[5] ?? '') : quoted.replace(/\\(.)/g, '$1');
    // `email=` without a value is no bare word.
    if (match[1] === undefined && quoted === undefined && /[=:]/.test(raw)) throw invalidInput('query');
    const operator = match[2] === '=' || match[2] === ':' ? match[2] : '';
    const prefix = operator === ':' && raw.endsWith('*');
    clauses.push({ field: match[1] ?? '', operator, value: prefix ? raw.slice(0, -1) : raw, prefix });
    rest = rest.slice(match[0].length);
  }
  return clauses;
}

function testOf(clause: Clause, tenant: Tenant, adminView: boolean): UserTest {
  const needsAdminView = /^(?:orgUnitPath|is[A-Z].*)$/.test(clause.field);
  if (needsAdminView && !adminView) throw invalidInput('query');
  switch (clause.field) {
    case '':
      return (user) =>
        [user.name.givenName, user.name.familyName, ...addressesOf(user)].some((text) =>
          contains(text, clause.value),
        );
    case 'name':
      if (clause.prefix) throw invalidInput('query');
      return text(clause, (user) => [`${user.name.givenName} ${user.name.familyName}`]);
    case 'email':
      return text(clause, addressesOf);
    case 'givenName':
      return text(clause, (user) => [user.name.givenName]);
    case 'familyName':
      return text(clause, (user) => [user.name.familyName]);
    case 'orgUnitPath':
      return inUnit(clause, tenant);
    case 'isAdmin':
      return flag(clause, (user) => user.isAdmin);
    case 'isSuspended':
      return flag(clause, (user) => user.suspended);
    case 'isArchived':
      return flag(clause, (user) => user.archived);
    case 'isDelegatedAdmin':
    case 'isEnrolledIn2Sv':
    case 'isEnforcedIn2Sv':
      return flag(clause, () => false);
    default:
      throw invalidInput('query');
  }
}

function text(clause: Clause, valuesOf: (user: UserRecord) => readonly string[]): UserTest {
  const wanted = clause.value.toLowerCase();
  if (wanted === '') throw invalidInput('query');
  if (clause.operator === '=')
    return (user) => valuesOf(user).some((value) => value.toLowerCase() === wanted);
  if (clause.prefix) return (user) => valuesOf(user).some((value) => value.toLowerCase().startsWith(wanted));
  return (user) => valuesOf(user).some((value) => contains(value, clause.value));
}

/** `:` finds whole words in their order, as Google's search does, not pieces of words. */
function contains(text: string, wanted: string): boolean {
  const words = wordsOf(text);
  const wantedWords = wordsOf(wanted);
  return wantedWords.length > 0 && ` ${words.join(' ')} `.includes(` ${wantedWords.join(' ')} `);
}

function wordsOf(text: string): readonly string[] {
  return text
    .toLowerCase()
    .split(/[^\p{L}\p{N}_']+/u)
    .filter((word) => word !== '');
}

function flag(clause: Clause, holds: (user: UserRecord) => boolean): UserTest {
  const value = clause.value.toLowerCase();
  if (clause.operator !== '=' || (value !== 'true' && value !== 'false')) throw invalidInput('query');
  return (user) => holds(user) === (value === 'true');
}

/** The unit and its whole subtree, by unit and not by text: `/A` is no parent of `/AB`. */
function inUnit(clause: Clause, tenant: Tenant): UserTest {
  if (clause.operator !== '=' || !clause.value.startsWith('/')) throw invalidInput('query');
  const unit = tenant.unitByPath(clause.value);
  if (unit === undefined) throw invalidInput('INVALID_OU_ID');
  const ids = new Set(tenant.subtree(unit.id).map((entry) => entry.id));
  return (user) => ids.has(user.orgUnitId);
}
