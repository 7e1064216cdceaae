import { invalidInput } from '../../errors.ts';

/**
 * Where Google's APIs are. Without `rootUrl` they are Google's own; with it every API and the token endpoint are
 * under that one root, as the emulator serves them (`${root}admin/directory/v1/…`, `${root}gmail/v1/…`,
 * `${root}v1/projects/…`, `${root}storage/v1/…`, `${root}token`). The metadata server is not part of it: Google's
 * clients find that one by `GCE_METADATA_HOST`.
 */
export interface GoogleEndpoints {
  /** `http(s)://host[:port]/`, nothing behind the slash. */
  readonly rootUrl?: string;
}

/**
 * Checks a configured root; undefined or empty means Google's own. Throws `settings-invalid` for anything but an
 * origin, because the gRPC-based clients know host and port only and would drop a path without a word.
 */
export function googleEndpoints(rootUrl: string | undefined): GoogleEndpoints {
  if (rootUrl === undefined || rootUrl === '') return {};
  const url = URL.canParse(rootUrl) ? new URL(rootUrl) : undefined;
  const isOrigin =
    url !== undefined &&
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    url.href === `${url.origin}/`;
  if (!isOrigin) {
    throw invalidInput(
      'settings-invalid',
      `The root address of Google's APIs is "${rootUrl}"; it must be an origin such as http://127.0.0.1:8600/, without a path, a query or a user name.`,
    );
  }
  return { rootUrl: url.href };
}

/** Options for clients made by googleapis. */
export const restRoot = (endpoints: GoogleEndpoints): { readonly rootUrl?: string } =>
  endpoints.rootUrl === undefined ? {} : { rootUrl: endpoints.rootUrl };

/** OAuth 2.0 token endpoint for the JWT-bearer grant (RFC 7523). */
export const tokenUrl = (endpoints: GoogleEndpoints): string =>
  endpoints.rootUrl === undefined ? 'https://oauth2.googleapis.com/token' : `${endpoints.rootUrl}token`;

/**
 * Options for clients made on google-gax (Pub/Sub, Secret Manager). Google's own endpoint keeps the defaults, which
 * is gRPC. Elsewhere it is REST, with host and port apart: given `host:port` in one string these clients dial 443.
 */
export function gaxEndpoint(endpoints: GoogleEndpoints): Readonly<Record<string, string | number>> {
  if (endpoints.rootUrl === undefined) return {};
  const url = new URL(endpoints.rootUrl);
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  return {
    apiEndpoint: url.hostname,
    port: url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port),
    protocol: scheme,
    fallback: 'rest',
  };
}

/** Options for the Cloud Storage client, which would send no credentials to an endpoint of one's own. */
export const storageEndpoint = (
  endpoints: GoogleEndpoints,
): { readonly apiEndpoint?: string; readonly useAuthWithCustomEndpoint?: boolean } =>
  endpoints.rootUrl === undefined
    ? {}
    : { apiEndpoint: endpoints.rootUrl.replace(/\/$/, ''), useAuthWithCustomEndpoint: true };
