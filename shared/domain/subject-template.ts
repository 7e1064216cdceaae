/**
 * What the subject of a certificate says, as a template over directory attributes: attribute → text with placeholders
 * `{address}`, `{givenName}`, `{familyName}`. Two kinds exist, as in the S/MIME Baseline Requirements 7.1.4.2: *mailbox*, which says
 * the address and nothing else, and *sponsor*, which says the person's name and the organization that vouches for it.
 */
export type SubjectTemplate = Readonly<Record<string, string>>;

export type SubjectTemplateKind = 'mailbox' | 'sponsor';

/** A template with what the directory said of the person when the certificate was decided on. */
export interface LeafSubject {
  readonly template: SubjectTemplate;
  readonly givenName?: string;
  readonly familyName?: string;
}

/** The address alone; the default. */
export const MAILBOX_TEMPLATE: SubjectTemplate = { commonName: '{address}' };

/** What a sponsor-validated subject must have; `country` may be added. */
export const SPONSOR_ATTRIBUTES = [
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

export const subjectTemplateKind = (template: SubjectTemplate): SubjectTemplateKind =>
  Object.keys(template).length === 1 && template['commonName'] === '{address}' ? 'mailbox' : 'sponsor';

/** What is wrong with a template, to stand behind "The subject template"; undefined for a good one. */
export function subjectTemplateMistake(template: SubjectTemplate): string | undefined {
  const names = Object.keys(template);
  if (names.some((name) => /^(ou|organizationalUnit(Name)?)$/i.test(name))) {
    return 'names an organizational unit, which only the legal name of an affiliate may be (S/MIME Baseline Requirements 7.1.4.2.2 c): remove it';
  }
  for (const [name, text] of Object.entries(template)) {
    for (const [, placeholder = ''] of text.matchAll(/\{([^{}]*)\}/g)) {
      if (!PLACEHOLDERS.includes(placeholder))
        return `asks for {${placeholder}} in ${name}; there are {${PLACEHOLDERS.join('}, {')}}`;
    }
    if (/[{}]/.test(text.replaceAll(/\{[^{}]*\}/g, ''))) return `has a stray brace in ${name}`;
  }
  return subjectTemplateKind(template) === 'mailbox' ? undefined : sponsorMistake(template);
}

function sponsorMistake(template: SubjectTemplate): string | undefined {
  const missing = SPONSOR_ATTRIBUTES.filter((name) => template[name] === undefined);
  if (missing.length > 0) {
    return `lacks ${missing.join(', ')}: with anything beside the address in the common name it is sponsor-validated and needs ${SPONSOR_ATTRIBUTES.join(', ')} (S/MIME Baseline Requirements 7.1.4.2.5); for the address alone write commonName: "{address}" and nothing else`;
  }
  const known: readonly string[] = [...SPONSOR_ATTRIBUTES, 'country'];
  const unknown = Object.keys(template).filter((name) => !known.includes(name));
  if (unknown.length > 0) return `has ${unknown.join(', ')}, which a subject of ours never has: remove it`;
  const { organization = '', organizationIdentifier = '', country, commonName = '' } = template;
  if (/[{}]/.test(organization + organizationIdentifier + (country ?? '')))
    return 'takes the organization from the directory; it is one for the tenant and must be written out';
  if (!ORGANIZATION_IDENTIFIER.test(organizationIdentifier)) {
    return `has the organizationIdentifier "${organizationIdentifier}", where scheme, country and number are wanted, such as NTRDE-HRB123456 or VATDE-123456789`;
  }
  if (country !== undefined && !/^[A-Z]{2}$/.test(country))
    return `has the country "${country}", where two capital letters are wanted`;
  if (commonName !== '{address}' && commonName !== '{givenName} {familyName}')
    return 'has a commonName that is neither "{address}" nor "{givenName} {familyName}"';
  for (const [name, wanted] of [
    ['givenName', '{givenName}'],
    ['surname', '{familyName}'],
  ] as const) {
    if (template[name] !== wanted)
      return `has ${name}: "${template[name]}", where only "${wanted}" is true of a person`;
  }
  return undefined;
}
