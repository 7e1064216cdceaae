/**
 * The subject of a leaf, built from what the directory says of its holder by a template. Two kinds exist, as in the S/MIME
 * Baseline Requirements 7.1.4.2: *mailbox-validated*, which says the address and nothing else, and *sponsor-validated*,
 * which says the person's name and the organization that vouches for it.
 *
 * An organizational unit never comes in: SMBR 7.1.4.2.2 c wants the legal name of an affiliate there, which a Workspace
 * unit is not.
 */
import {
  type SubjectTemplate,
  type SubjectTemplateKind,
  subjectTemplateKind,
  subjectTemplateMistake,
} from '../domain/subject-template.ts';
import { permanent } from '../errors.ts';
import { encodeMailboxSubject, encodeSponsorSubject, type SponsorSubject } from './name.ts';

/** What the directory knows of a user, as far as a subject may say it. */
export interface DirectoryAttributes {
  /** As printed into the certificate. */
  readonly primaryAddress: string;
  readonly givenName?: string;
  readonly familyName?: string;
}

/** A template that was checked. */
export interface SubjectPlan {
  readonly kind: SubjectTemplateKind;
  readonly template: SubjectTemplate;
}

/** Checks a template. Throws `policy-invalid` (permanent) with one sentence. */
export function subjectPlan(template: SubjectTemplate): SubjectPlan {
  const mistake = subjectTemplateMistake(template);
  if (mistake !== undefined) throw permanent('policy-invalid', `The subject template ${mistake}.`);
  return { kind: subjectTemplateKind(template), template };
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
