/**
 * Perimeters: who may use keys that were wrapped with a `perimeter_id`. Google carries the id and leaves its meaning to
 * the key service (https://developers.google.com/workspace/cse/guides/configure-service). Here a perimeter is data.
 */
import { invalidInput } from '../errors.ts';
import { lowerCaseAscii, sameIgnoringCase } from './addresses.ts';

/** Every condition that is there must hold. */
export interface Perimeter {
  /** `perimeter_id`; the empty one stands for everything that has none. */
  readonly id: string;
  /** Addresses let in, by domain and one by one. With neither list everybody's address will do. */
  readonly domains?: readonly string[];
  readonly emails?: readonly string[];
  /** Addresses kept out whatever else holds, such as those of admins. */
  readonly blockedEmails?: readonly string[];
  /**
   * Claims of the authentication token: each must be one of the texts given, or a list that holds one of them
   * (`{"groups": ["board"], "amr": ["hwk"]}`).
   */
  readonly claims?: Readonly<Record<string, readonly string[]>>;
}

export interface PersonAtPerimeter {
  readonly address: string;
  /** Of the authentication token. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/**
 * Whether a person may use keys of a perimeter. Pure. Where no perimeters are configured, everybody may; where they
 * are, an id that is not among them admits nobody, except the empty one.
 */
export function perimeterAdmits(
  perimeters: readonly Perimeter[] | undefined,
  perimeterId: string,
  person: PersonAtPerimeter,
): boolean {
  if (perimeters === undefined) return true;
  const perimeter = perimeters.find(({ id }) => id === perimeterId);
  if (perimeter === undefined) return perimeterId === '';
  return addressIsIn(perimeter, person.address) && claimsHold(perimeter.claims ?? {}, person.claims);
}

/** Whoever wraps a key under a misspelt perimeter would lock everybody out of it. Throws `malformed-request`. */
export function requireKnownPerimeter(
  perimeters: readonly Perimeter[] | undefined,
  perimeterId: string,
): void {
  if (perimeters === undefined || perimeterId === '' || perimeters.some(({ id }) => id === perimeterId))
    return;
  throw invalidInput('malformed-request', '"perimeter_id" is none of the perimeters of this key service.');
}

/** Names of the claims that perimeters look at. */
export const claimsOfPerimeters = (perimeters: readonly Perimeter[] | undefined): readonly string[] => [
  ...new Set((perimeters ?? []).flatMap(({ claims }) => Object.keys(claims ?? {}))),
];

function addressIsIn({ domains, emails, blockedEmails }: Perimeter, address: string): boolean {
  const among = (list: readonly string[] | undefined) =>
    (list ?? []).some((entry) => sameIgnoringCase(entry, address));
  if (among(blockedEmails)) return false;
  if (domains === undefined && emails === undefined) return true;
  const domain = address.slice(address.lastIndexOf('@') + 1);
  return among(emails) || (domains ?? []).map(lowerCaseAscii).includes(lowerCaseAscii(domain));
}

const claimsHold = (
  wanted: Readonly<Record<string, readonly string[]>>,
  claims: Readonly<Record<string, unknown>>,
): boolean =>
  Object.entries(wanted).every(([name, texts]) => {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
    const held: readonly unknown[] = Array.isArray(value) ? value : [value];
    return held.some((text) => typeof text === 'string' && texts.includes(text));
  });
