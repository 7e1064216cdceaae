/** How the parts of the settings must fit together. All of them throw `settings-invalid` (permanent). */
import { permanent } from '../errors.ts';
import { lowerCaseAscii } from './addresses.ts';
import type { RateLimit } from './rate-limits.ts';
import {
  APPLICATIONS,
  AUTHORIZATION_AUDIENCE,
  type AuthenticationIssuer,
  DELEGATION_AUDIENCE,
  type KeyServiceSettings,
  MIGRATION_AUDIENCE,
  PRIVILEGED_ENDPOINTS,
  withoutTrailingSlash,
} from './settings.ts';

/** Throws `settings-invalid` (permanent) with a sentence that names the field. */
export function assertKeyServiceSettings(settings: KeyServiceSettings): void {
  requireBaseUrl(settings.baseUrl);
  if (settings.tenantId === '' || Buffer.byteLength(settings.tenantId) > 255) {
    throw invalid('tenantId', 'must have 1 to 255 bytes');
  }
  if (settings.ownerDomain === '') throw invalid('ownerDomain', 'must not be empty');
  for (const field of ['authorizationKeySetRoot', 'wrapCallerKeySetUrl'] as const) {
    const url = settings[field];
    if (url !== undefined) requireSecureUrl(field, url);
  }
  if (settings.authenticationIssuers.length === 0) {
    throw invalid('authenticationIssuers', 'must name at least one identity provider');
  }
  requireIssuers('authenticationIssuers', settings.authenticationIssuers, settings);
  requireIssuers('privilegedIssuers', settings.privilegedIssuers ?? [], settings);
  requireDedicatedAdminAudiences(settings);
  requirePrivilegedCallers(settings);
  requireApplications(settings.applications);
  for (const field of ['migrationSources', 'migrationTargets'] as const) {
    for (const url of settings[field] ?? []) requireOtherKeyService(field, url, settings);
  }
  requirePerimeters(settings);
  requireRateLimit('userRateLimit', settings.userRateLimit);
  requireRateLimit('privilegedRateLimit', settings.privilegedRateLimit);
}

function requireBaseUrl(baseUrl: string): void {
  requireSecureUrl('baseUrl', baseUrl);
  if (!isPlainAddress(new URL(baseUrl))) {
    throw invalid('baseUrl', 'must be a plain address without query, fragment, user or doubled slashes');
  }
}

function requireIssuers(
  field: 'authenticationIssuers' | 'privilegedIssuers',
  issuers: readonly AuthenticationIssuer[],
  settings: KeyServiceSettings,
): void {
  const base = withoutTrailingSlash(settings.baseUrl);
  // A token made for another purpose of this service must not also say who somebody is.
  const ours = [base, AUTHORIZATION_AUDIENCE, MIGRATION_AUDIENCE, DELEGATION_AUDIENCE];
  const services = [base, ...(settings.migrationTargets ?? []).map(withoutTrailingSlash)];
  const seen = new Set<string>();
  for (const { issuer, jwksUrl, audiences } of issuers) {
    if (issuer === '') throw invalid(field, 'has an entry without an issuer');
    if (seen.has(issuer)) throw invalid(field, `names ${issuer} twice; list its audiences once`);
    seen.add(issuer);
    if (services.includes(withoutTrailingSlash(issuer))) {
      throw invalid(field, `names the key service ${issuer}, which is no identity provider`);
    }
    requireSecureUrl(`${field} (${issuer}).jwksUrl`, jwksUrl);
    if (audiences.length === 0 || audiences.includes('')) {
      throw invalid(field, `needs at least one audience for ${issuer}, and no empty one`);
    }
    if (audiences.some((audience) => ours.includes(withoutTrailingSlash(audience)))) {
      throw invalid(field, `gives ${issuer} an audience that this service uses for other tokens`);
    }
  }
}

/** A token that a browser holds to read mail must not export a company. */
function requireDedicatedAdminAudiences(settings: KeyServiceSettings): void {
  for (const { issuer, audiences } of settings.privilegedIssuers ?? []) {
    const everybodys = settings.authenticationIssuers.find((entry) => entry.issuer === issuer)?.audiences;
    const shared = audiences.find((audience) => everybodys?.includes(audience));
    if (shared === undefined) continue;
    throw invalid(
      'privilegedIssuers',
      `shares the audience ${shared} of ${issuer} with authenticationIssuers; register a client for admins alone`,
    );
  }
}

function requirePrivilegedCallers(settings: KeyServiceSettings): void {
  for (const [endpoint, callers] of Object.entries(settings.privilegedCallers ?? {})) {
    if (!PRIVILEGED_ENDPOINTS.some((name) => name === endpoint)) {
      throw invalid('privilegedCallers', `names ${endpoint}; it has ${PRIVILEGED_ENDPOINTS.join(', ')}`);
    }
    if (callers.includes('')) throw invalid('privilegedCallers', `has an empty address for ${endpoint}`);
    if (callers.length > 0 && (settings.privilegedIssuers ?? []).length === 0) {
      throw invalid(
        'privilegedCallers',
        'names admins, and privilegedIssuers says nowhere who vouches for them',
      );
    }
  }
}

function requireApplications(applications: readonly string[] | undefined): void {
  if (applications === undefined) return;
  if (applications.length === 0) throw invalid('applications', 'must name at least one application');
  const unknown = applications.find((name) => !APPLICATIONS.some((known) => known === name));
  if (unknown !== undefined)
    throw invalid('applications', `names ${unknown}; it has ${APPLICATIONS.join(', ')}`);
}

/**
 * Only names that a certificate can be shown for: an address in numbers, a name of this machine or the metadata server
 * is no key service of another vendor. A service that itself runs on loopback (a test, a demo) may call loopback.
 */
function requireOtherKeyService(field: string, text: string, settings: KeyServiceSettings): void {
  const complaint = 'must hold base addresses of other key services, written exactly as they are registered';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || withoutTrailingSlash(url.href) !== withoutTrailingSlash(text)) {
    throw invalid(field, `${complaint}; "${text}" is not`);
  }
  if (!isPlainAddress(url))
    throw invalid(field, `${complaint}, without query, fragment or user; "${text}" is not`);
  if (withoutTrailingSlash(text) === withoutTrailingSlash(settings.baseUrl)) {
    throw invalid(field, `names this key service itself (${text})`);
  }
  if (isLoopback(url) && isLoopback(new URL(settings.baseUrl))) return;
  if (url.protocol !== 'https:') throw invalid(field, `must be https, and is "${text}"`);
  if (!namesPublicHost(url.hostname)) {
    throw invalid(field, `must name a host by its public DNS name, and is "${text}"`);
  }
}

/** `URL` has already turned every spelling of an IPv4 address into four numbers. */
const namesPublicHost = (host: string): boolean =>
  /^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/.test(lowerCaseAscii(host)) &&
  !/\.(?:localhost|local|internal|intranet|lan|home\.arpa)$/.test(lowerCaseAscii(host));

function requirePerimeters({ perimeters }: KeyServiceSettings): void {
  const seen = new Set<string>();
  for (const { id } of perimeters ?? []) {
    if (Buffer.byteLength(id) > 128) throw invalid('perimeters', `has an id of more than 128 bytes (${id})`);
    if (seen.has(id)) throw invalid('perimeters', `names "${id}" twice`);
    seen.add(id);
  }
}

function requireRateLimit(field: string, limit: RateLimit | undefined): void {
  if (limit === undefined) return;
  const { burst, perSecond } = limit;
  if (Number.isFinite(burst) && burst >= 1 && Number.isFinite(perSecond) && perSecond > 0) return;
  throw invalid(field, 'needs a burst of at least 1 and more than 0 calls per second');
}

function requireSecureUrl(field: string, text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url))) return;
  throw invalid(field, `must be an https address (plain http only on loopback), and is "${text}"`);
}

const isPlainAddress = (url: URL): boolean =>
  url.search === '' &&
  url.hash === '' &&
  url.username === '' &&
  url.password === '' &&
  !url.pathname.includes('//');

const isLoopback = (url: URL): boolean => ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);

const invalid = (field: string, complaint: string) =>
  permanent('settings-invalid', `Key service settings: ${field} ${complaint}.`, { details: { field } });
