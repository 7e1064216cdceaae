/**
 * Mail addresses as certificates hold them: ASCII local part, domain as lower-case A-labels (RFC 9598 §3: an ASCII
 * local part goes into rfc822Name, and an internationalised domain as A-labels).
 */
import { domainToASCII } from 'node:url';

/** `atext` and dots of RFC 5321's Dot-string; Google addresses have no other form. */
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export type AddressForm =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'unusable'; readonly why: string };

/**
 * The form of an address that goes into rfc822Name: local part untouched, domain lower-cased and in A-labels. Says why
 * where there is none (non-ASCII local part, quoted local part, a domain that is not one, RFC 5321 length limits).
 */
export function addressForm(text: string): AddressForm {
  const at = text.lastIndexOf('@');
  if (at < 1) return { kind: 'unusable', why: 'it is not of the form name@domain' };
  const local = text.slice(0, at);
  const domain = text.slice(at + 1);
  if (!LOCAL_PART.test(local)) {
    return { kind: 'unusable', why: 'its local part has characters that an rfc822Name cannot hold' };
  }
  // ASCII domains are only lower-cased: the URL rules behind domainToASCII would also rewrite "127.1" and "ex%61mple".
  const ascii = /^[\x20-\x7e]*$/.test(domain) ? domain.toLowerCase() : domainToASCII(domain);
  if (!isHostName(ascii)) return { kind: 'unusable', why: 'its domain is not a host name' };
  const address = `${local}@${ascii}`;
  if (local.length > 64 || address.length > 254) {
    return { kind: 'unusable', why: 'it is longer than RFC 5321 allows (64 before the @, 254 in all)' };
  }
  return { kind: 'address', address };
}

/** A host name of at least two labels, lower case, not an IP address (whose last label would be a number). */
export function isHostName(host: string): boolean {
  const labels = host.split('.');
  return (
    host.length <= 253 &&
    labels.length >= 2 &&
    labels.every((label) => LABEL.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? '')
  );
}

/** How addresses are compared: without regard to case, as Google does. */
export const sameAddress = (left: string, right: string): boolean =>
  left.toLowerCase() === right.toLowerCase();
