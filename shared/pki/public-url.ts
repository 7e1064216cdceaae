/**
 * Addresses that are printed into certificates (CRL, issuer, OCSP) and so have to answer for as long as those
 * certificates live: plain http, on a name the customer owns.
 */
import { isLoopbackHost } from '../domain/loopback.ts';
import { isHostName } from './mailbox-address.ts';

/**
 * Hosts that are not the customer's own: they redirect plain HTTP to HTTPS or belong to one deployment, so an address
 * on them breaks when the deployment moves.
 */
const PLATFORM_HOSTS = [
  'run.app',
  'cloudfunctions.net',
  'appspot.com',
  'googleapis.com',
  'storage.cloud.google.com',
  'googleusercontent.com',
  'web.app',
  'firebaseapp.com',
];

/** Names that mean nothing outside one network (RFC 6762, RFC 8375, ICANN's .internal). */
const PRIVATE_SUFFIXES = ['local', 'localhost', 'internal', 'home.arpa', 'lan'];

export type UrlRule = 'url-scheme' | 'url-host' | 'url-parameters';

export interface UrlProblem {
  readonly rule: UrlRule;
  readonly found: string;
}

/**
 * What is wrong with an address for printing into a certificate; undefined when nothing is. `trial` lets loopback
 * hosts through, for a system that is tried on one machine.
 */
export function urlProblem(text: string, options: { readonly trial: boolean }): UrlProblem | undefined {
  if (!URL.canParse(text)) return { rule: 'url-scheme', found: `"${text}" is not an absolute URL` };
  const url = new URL(text);
  if (url.protocol !== 'http:') return { rule: 'url-scheme', found: `"${text}" is not plain http` };
  const host = url.hostname;
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    return { rule: 'url-parameters', found: `"${text}" has a user name, a query or a fragment` };
  }
  if (isLoopbackHost(host)) {
    return options.trial ? undefined : { rule: 'url-host', found: `${host} is this machine only` };
  }
  if (!isHostName(host) || PRIVATE_SUFFIXES.some((suffix) => isUnder(host, suffix))) {
    return { rule: 'url-host', found: `${host} is not a public host name` };
  }
  if (PLATFORM_HOSTS.some((platform) => isUnder(host, platform))) {
    return { rule: 'url-host', found: `${host} belongs to a hosting platform` };
  }
  return undefined;
}

/** Whether an address points at this machine, which only a trial's issuer may do. */
export const isLoopbackUrl = (text: string): boolean =>
  URL.canParse(text) && isLoopbackHost(new URL(text).hostname);

const isUnder = (host: string, domain: string) => host === domain || host.endsWith(`.${domain}`);
