/**
 * The subject of a leaf, built from what the directory says of its holder by a template. Two kinds exist, as in the S/MIME
 * Baseline Requirements 7.1.4.2: *mailbox-validated*, which says the address and nothing else, and *sponsor-validated*,
 * which says the person's name and the organization that vouches for it.
 *
 * An organizational unit never comes in: SMBR 7.1.4.2.2 c wants the legal name of an affiliate there, which a Workspace
 * unit is not.
 */
import { permanent } from '../errors.ts';
import { encodeMailboxSubject, encodeSponsorSubject, type SponsorSubject } from './name.ts';

/** What the directory knows of a user, as far as a subject may say it. */
export interface DirectoryAttributes {
  /** As printed into the certificate. */
  readonly primaryAddress: string;
  readonly givenName?: string;
  readonly familyName?: string;
}

/**
 * Attribute → text with placeholders `{address}`, `{givenName}`, `{familyName}`. `{ commonName: '{address}' }` is
 * mailbox-validated and the default.
 */
export type SubjectTemplate = Readonly<Record<string, string>>;

export const MAILBOX_TEMPLATE: SubjectTemplate = { commonName: '{address}' };

/** A template that was checked. */
export interface SubjectPlan {
  readonly kind: 'mailbox' | 'sponsor';
  readonly template: SubjectTemplate;
}

const SPONSOR_ATTRIBUTES = [
  'organization',
  'organizationIdentifier',
  'givenName',
  'surname',
  'commonName',
] as const;
const PLACEHOLDERS = ['address', 'givenName', 'familyName'];

/**
 * Registration schemes of SMBR appendix A: NTR, VAT, PSD with a country (and a state after a plus), GOV likewise, LEI
 * and INT with XG.
 */
const ORGANIZATION_IDENTIFIER =
  /^(?:(?:NTR|VAT|PSD)[A-Z]{2}(?:\+[A-Z0-9]{1,3})?-\S[^\n]*|GOV[A-Z]{2}(?:\+[A-Z0-9]{1,3})?(?:-\S[^\n]*)?|LEIXG-[A-Z0-9]{20}|INTXG-\S[^\n]*)$/;

const wrong = (what: string) => permanent('policy-invalid', `The subject template ${what}.`);

/** Checks a template once, when the policy is read. Throws `policy-invalid` (permanent) with one sentence. */
export function subjectPlan(template: SubjectTemplate): SubjectPlan {
  const names = Object.keys(template);
  if (names.some((name) => /^(ou|organizationalUnit(Name)?)$/i.test(name))) {
    throw wrong(
      'names an organizational unit, which only the legal name of an affiliate may be (S/MIME Baseline Requirements 7.1.4.2.2 c): remove it',
    );
  }
  for (const [name, text] of Object.entries(template)) {
    for (const [, placeholder = ''] of text.matchAll(/\{([^{}]*)\}/g)) {
      if (!PLACEHOLDERS.includes(placeholder)) {
        throw wrong(`asks for {${placeholder}} in ${name}; there are {${PLACEHOLDERS.join('}, {')}}`);
      }
    }
    if (/[{}]/.test(text.replaceAll(/\{[^{}]*\}/g, ''))) throw wrong(`has a stray brace in ${name}`);
  }
  if (names.length === 1 && template['commonName'] === '{address}') return { kind: 'mailbox', template };
  return { kind: 'sponsor', template: checkedSponsor(template) };
}

function checkedSponsor(template: SubjectTemplate): SubjectTemplate {
  const missing = SPONSOR_ATTRIBUTES.filter((name) => template[name] === undefined);
  if (missing.length > 0) {
    throw wrong(
      `lacks ${missing.join(', ')}: with anything beside the address in the common name it is sponsor-validated and needs ${SPONSOR_ATTRIBUTES.join(', ')} (S/MIME Baseline Requirements 7.1.4.2.5); for the address alone write commonName: "{address}" and nothing else`,
    );
  }
  const known: readonly string[] = [...SPONSOR_ATTRIBUTES, 'country'];
  const unknown = Object.keys(template).filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw wrong(`has ${unknown.join(', ')}, which a subject of ours never has: remove it`);
  const { organization = '', organizationIdentifier = '', country, commonName = '' } = template;
  if (/[{}]/.test(organization + organizationIdentifier + (country ?? ''))) {
    throw wrong(
      'takes the organization from the directory; it is one for the tenant and must be written out',
    );
  }
  if (!ORGANIZATION_IDENTIFIER.test(organizationIdentifier)) {
    throw wrong(
      `has the organizationIdentifier "${organizationIdentifier}", where scheme, country and number are wanted, such as NTRDE-HRB123456 or VATDE-123456789`,
    );
  }
  if (country !== undefined && !/^[A-Z]{2}$/.test(country)) {
    throw wrong(`has the country "${country}", where two capital letters are wanted`);
  }
  if (commonName !== '{address}' && commonName !== '{givenName} {familyName}') {
    throw wrong('has a commonName that is neither "{address}" nor "{givenName} {familyName}"');
  }
  for (const [name, wanted] of [
    ['givenName', '{givenName}'],
    ['surname', '{familyName}'],
  ] as const) {
    if (template[name] !== wanted)
      throw wrong(`has ${name}: "${template[name]}", where only "${wanted}" is true of a person`);
  }
  return template;
}

/**
 * The subject of one user, DER. Throws `lint-failed` (permanent) naming what the directory lacks or what is too long or
 * only punctuation (SMBR 7.1.4: no placeholders).
 */
export function encodeLeafSubject(plan: SubjectPlan, attributes: DirectoryAttributes): Uint8Array {
  if (plan.kind === 'mailbox') return encodeMailboxSubject(attributes.primaryAddress);
  return encodeSponsorSubject(sponsorOf(plan.template, attributes));
}

function sponsorOf(template: SubjectTemplate, attributes: DirectoryAttributes): SponsorSubject {
  const values: Readonly<Record<string, string | undefined>> = {
    address: attributes.primaryAddress,
    givenName: attributes.givenName,
    familyName: attributes.familyName,
  };
  const filled = (name: string): string => {
    const text = (template[name] ?? '').replaceAll(/\{([^{}]*)\}/g, (_all, placeholder: string) => {
      const value = values[placeholder]?.normalize('NFC').trim().replaceAll(/\s+/g, ' ');
      if (value === undefined || !/[\p{L}\p{N}]/u.test(value)) {
        throw permanent(
          'lint-failed',
          `The directory has no ${placeholder} for ${attributes.primaryAddress}, which the subject template needs: fill it in, or use the template for the address alone.`,
        );
      }
      return value;
    });
    if (/\p{Cc}/u.test(text) || [...text].length > 64) {
      throw permanent(
        'lint-failed',
        `The ${name} for ${attributes.primaryAddress} has more than 64 characters or control characters: shorten it in the directory, or use the template for the address alone.`,
      );
    }
    return text;
  };
  return {
    ...(template['country'] === undefined ? {} : { country: template['country'] }),
    organization: filled('organization'),
    organizationIdentifier: filled('organizationIdentifier'),
    givenName: filled('givenName'),
    surname: filled('surname'),
    commonName: filled('commonName'),
  };
}
