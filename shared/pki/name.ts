/** Distinguished names (RFC 5280 §4.1.2.4): the shapes we write, and a reader for any. */
import { ia5String, oid, printableString, sequence, setOfOne, utf8String } from './der.ts';
import { DerCursor, inside, readOid, TAGS } from './der-reader.ts';
import { ATTRIBUTE_OIDS } from './oids.ts';

/** Subject of a CA: country, organization, common name. */
export interface CaSubject {
  /** ISO 3166-1 alpha-2, upper case. */
  readonly country: string;
  /** Registered name of the organization, at most 64 characters. */
  readonly organization: string;
  /** Unique and telling, at most 64 characters: "Acme S/MIME Issuing CA 1", not "Certificate Authority". */
  readonly commonName: string;
}

const relative = (attribute: string, value: Uint8Array) => setOfOne(sequence(oid(attribute), value));

/** C as PrintableString, O and CN as UTF8String, DER. */
export const encodeCaSubject = (subject: CaSubject): Uint8Array =>
  sequence(
    relative(ATTRIBUTE_OIDS.countryName, printableString(subject.country)),
    relative(ATTRIBUTE_OIDS.organizationName, utf8String(subject.organization)),
    relative(ATTRIBUTE_OIDS.commonName, utf8String(subject.commonName)),
  );

/** RFC 5280 appendix A.1, ub-common-name. */
export const COMMON_NAME_MAXIMUM = 64;

/**
 * Subject of a user's leaf: CN with the primary address, or, where that is longer than 64 characters,
 * emailAddress instead (its limit is 255).
 *
 * The other choice for long addresses, an empty subject, is equally allowed but makes the subjectAltName critical,
 * and leaves mail clients and key stores that list certificates by subject with nothing to show. Both documents
 * allow emailAddress alone for mailbox-validated certificates as long as the address is in the subjectAltName too.
 */
export const encodeMailboxSubject = (primaryAddress: string): Uint8Array =>
  primaryAddress.length <= COMMON_NAME_MAXIMUM
    ? sequence(relative(ATTRIBUTE_OIDS.commonName, utf8String(primaryAddress)))
    : sequence(relative(ATTRIBUTE_OIDS.emailAddress, ia5String(primaryAddress)));

/** What a sponsor-validated leaf says of its holder (SMBR 7.1.4.2.5): a person, and the organization that vouches. */
export interface SponsorSubject {
  readonly country?: string;
  readonly organization: string;
  /** Where the organization is registered and under which number, such as `NTRDE-HRB123456` or `VATDE-123456789`. */
  readonly organizationIdentifier: string;
  readonly givenName: string;
  readonly surname: string;
  /** The person's name or the primary address. */
  readonly commonName: string;
}

/** C, O, organizationIdentifier, GN, SN, CN, DER; no OU, no street. */
export const encodeSponsorSubject = (subject: SponsorSubject): Uint8Array =>
  sequence(
    ...(subject.country === undefined
      ? []
      : [relative(ATTRIBUTE_OIDS.countryName, printableString(subject.country))]),
    relative(ATTRIBUTE_OIDS.organizationName, utf8String(subject.organization)),
    relative(ATTRIBUTE_OIDS.organizationIdentifier, utf8String(subject.organizationIdentifier)),
    relative(ATTRIBUTE_OIDS.givenName, utf8String(subject.givenName)),
    relative(ATTRIBUTE_OIDS.surname, utf8String(subject.surname)),
    relative(ATTRIBUTE_OIDS.commonName, utf8String(subject.commonName)),
  );

export interface NameAttribute {
  readonly oid: string;
  readonly value: string;
}

/** The attributes of a Name in order; throws `DerError`. Values of a string type we never write come out as hex. */
export function readName(nameDer: Uint8Array): readonly NameAttribute[] {
  const cursor = new DerCursor(nameDer);
  const names = inside(cursor.take('SEQUENCE'));
  cursor.end('a Name');
  const attributes: NameAttribute[] = [];
  while (!names.atEnd) {
    const set = inside(names.take('SET'));
    while (!set.atEnd) {
      const pair = inside(set.take('SEQUENCE'));
      const type = readOid(pair.next());
      const value = pair.next();
      pair.end('an attribute of a name');
      attributes.push({ oid: type, value: readText(value.tag, value.content) });
    }
  }
  return attributes;
}

/** A Name in one line: the common name if there is one, else all attributes. */
export function describeName(name: readonly NameAttribute[]): string {
  const commonName = name.find(({ oid: type }) => type === ATTRIBUTE_OIDS.commonName);
  if (commonName !== undefined) return commonName.value;
  return name.length === 0
    ? '(no subject)'
    : name.map(({ oid: type, value }) => `${type}=${value}`).join(', ');
}

function readText(tag: number, content: Uint8Array): string {
  const buffer = Buffer.from(content);
  if (tag === TAGS.UTF8String) return buffer.toString('utf8');
  if (tag === TAGS.PrintableString || tag === TAGS.IA5String) return buffer.toString('latin1');
  return `#${buffer.toString('hex')}`;
}
