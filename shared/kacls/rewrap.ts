/**
 * POST rewrap: takes over a content key from the key service the customer leaves.
 * https://developers.google.com/workspace/cse/reference/rewrap
 *
 * It makes this service call an address out of a request, so the address must be one of `migrationSources`, character
 * for character but for a trailing slash; what may stand there is checked at the start (`settings-check.ts`). Nothing
 * is looked up in DNS to decide: whoever changes the records of a listed name still lacks its TLS certificate, and a
 * metadata server or a machine of the inner network has none either.
 *
 * Google's migration token carries no perimeter, and the old blob's cannot be read here, so a key arrives without one
 * unless the token says otherwise. Both services then give different digests for a key that had a perimeter; how
 * Google means that is not documented.
 */
import { invalidInput } from '../errors.ts';
import { forbidden, type KeyServiceRequest, type Operation } from './access.ts';
import { authorizedResource, sealFor } from './content-keys.ts';
import type { KeyServiceContext } from './context.ts';
import { type RequestBody, requiredText } from './fields.ts';
import { perimeterOf } from './google-tokens.ts';
import { signMigrationToken } from './own-tokens.ts';
import { requireKnownPerimeter } from './perimeters.ts';
import { resourceKeyHash } from './resource-key-hash.ts';
import { withoutTrailingSlash } from './settings.ts';
import type { Claims } from './tokens.ts';

/** Characters of base64: another vendor's blob of a 128-byte key at the API's limit of 1 KB, in either reading. */
const LONGEST_FOREIGN_BLOB = 2048;
const LONGEST_REASON = 1024;

/** Answers `{wrapped_key, resource_key_hash}`. */
export const rewrap: Operation<Claims> = async (request, authorization, context) => {
  const { body, note } = request;
  const keyServiceUrl = allowedSource(request, context);
  const resourceName = authorizedResource(authorization);
  const perimeterId = perimeterOf(authorization);
  requireKnownPerimeter(context.settings.perimeters, perimeterId);
  const wrappedKey = requiredText(body, 'wrapped_key');
  if (wrappedKey.length > LONGEST_FOREIGN_BLOB) {
    throw invalidInput('malformed-request', '"wrapped_key" is longer than any wrapped content key.');
  }
  note({ originalKeyService: keyServiceUrl });
  const contentKey = await otherKeyServices(context).privilegedUnwrap({
    keyServiceUrl,
    authentication: await signMigrationToken(keyServiceUrl, resourceName, context),
    wrappedKey,
    resourceName,
    reason: readReason(body),
  });
  try {
    return {
      wrapped_key: await sealFor(contentKey, { resourceName, perimeterId }, request, context),
      resource_key_hash: resourceKeyHash(contentKey, resourceName, perimeterId),
    };
  } finally {
    contentKey.fill(0);
  }
};

/** Passed on as it came: text of unknown origin, which a key service never parses. */
const readReason = ({ reason }: RequestBody): string =>
  typeof reason === 'string' ? reason.slice(0, LONGEST_REASON) : '';

function allowedSource({ body }: KeyServiceRequest, { settings }: KeyServiceContext): string {
  const url = withoutTrailingSlash(requiredText(body, 'original_kacls_url'));
  if ((settings.migrationSources ?? []).some((source) => withoutTrailingSlash(source) === url)) return url;
  throw forbidden('"original_kacls_url" is not on the list migrationSources of this key service.');
}

function otherKeyServices({ otherKeyServices }: KeyServiceContext) {
  if (otherKeyServices === undefined) throw new Error('This key service has no way to call another.');
  return otherKeyServices;
}
