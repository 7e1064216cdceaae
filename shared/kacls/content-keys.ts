/**
 * The endpoints for content keys (DEKs) of Drive, Docs, Meet, Calendar and of Gmail to recipients without S/MIME. All
 * of them wrap and open the same blob (`wrapped-content-key.ts`); they differ in who may, and who names the resource.
 * https://developers.google.com/workspace/cse/guides/encrypt-and-decrypt-data
 */
import { invalidInput } from '../errors.ts';
import { forbidden, type KeyServiceRequest, type Operation, textClaim } from './access.ts';
import { encodeBase64 } from './base64.ts';
import type { KeyServiceContext } from './context.ts';
import { optionalPerimeter, requiredBytes, requiredText } from './fields.ts';
import { perimeterOf } from './google-tokens.ts';
import { requireKnownPerimeter } from './perimeters.ts';
import {
  type PrivilegedPerson,
  type RequestingKeyService,
  requirePerimeterOfPerson,
} from './privileged-access.ts';
import { resourceKeyHash } from './resource-key-hash.ts';
import type { Claims } from './tokens.ts';
import { type AuthorizedUser, requirePerimeter } from './user-access.ts';
import {
  type ContentKeyBinding,
  contentKeyBinding,
  LONGEST_CONTENT_KEY,
  type OpenedContentKey,
  openContentKey,
  sealContentKey,
} from './wrapped-content-key.ts';

/** The API has 128 bytes, and 512 in Gmail's tokens; which of the two "send to anyone" uses is not documented. */
const LONGEST_RESOURCE_NAME = 512;

/** POST wrap: `{wrapped_key}`. https://developers.google.com/workspace/cse/reference/wrap */
export const wrap: Operation<AuthorizedUser> = async (request, user, context) => {
  const perimeterId = perimeterOf(user.authorization);
  const resourceName = authorizedResource(user.authorization);
  requirePerimeter(user, perimeterId, context);
  return wrapContentKey(request, { resourceName, perimeterId }, context);
};

/** POST unwrap: `{key}`. https://developers.google.com/workspace/cse/reference/unwrap */
export const unwrap: Operation<AuthorizedUser> = async (request, user, context) => {
  const resourceName = authorizedResource(user.authorization);
  return withContentKey(request, resourceName, context, ({ contentKey, perimeterId }) => {
    requirePerimeter(user, perimeterId, context);
    return { key: encodeBase64(contentKey) };
  });
};

/** POST privilegedwrap: `{wrapped_key}`. https://developers.google.com/workspace/cse/reference/privileged-wrap */
export const privilegedWrap: Operation<PrivilegedPerson> = async (request, person, context) => {
  const resourceName = namedResource(request);
  const perimeterId = optionalPerimeter(request.body);
  requireKnownPerimeter(context.settings.perimeters, perimeterId);
  requirePerimeterOfPerson(person, perimeterId, context);
  return wrapContentKey(request, { resourceName, perimeterId }, context);
};

/**
 * POST privilegedunwrap: `{key}`, without a look at who may read the document. Another key service is no person and
 * passes every perimeter: moving all of them is what it is on its list for.
 * https://developers.google.com/workspace/cse/reference/privileged-unwrap
 */
export const privilegedUnwrap: Operation<PrivilegedPerson | RequestingKeyService> = async (
  request,
  caller,
  context,
) =>
  withContentKey(request, namedResource(request), context, ({ contentKey, perimeterId }) => {
    if ('address' in caller) requirePerimeterOfPerson(caller, perimeterId, context);
    return { key: encodeBase64(contentKey) };
  });

/** POST digest: `{resource_key_hash}`. https://developers.google.com/workspace/cse/reference/digest */
export const digest: Operation<Claims> = async (request, authorization, context) => {
  const resourceName = authorizedResource(authorization);
  return withContentKey(request, resourceName, context, ({ contentKey, perimeterId }) => ({
    resource_key_hash: resourceKeyHash(contentKey, resourceName, perimeterId),
  }));
};

/** Wraps a content key for a resource; the caller wipes it. Answers base64. */
export async function sealFor(
  contentKey: Uint8Array,
  binding: ContentKeyBinding,
  { note }: KeyServiceRequest,
  context: KeyServiceContext,
): Promise<string> {
  const { tenantId } = context.settings;
  const kek = await context.keyEncryptionKeys.current(contentKeyBinding(tenantId));
  note({ kekId: kek.id, perimeterId: binding.perimeterId });
  return sealContentKey(contentKey, binding, { kek, tenantId, random: context.random });
}

/** `resource_name` of an authorization token. Throws `forbidden`. */
export function authorizedResource(authorization: Claims): string {
  const name = textClaim(authorization, 'authorization', 'resource_name');
  if (isResourceName(name)) return name;
  throw forbidden(`In the authorization token, resource_name has more than ${LONGEST_RESOURCE_NAME} bytes.`);
}

function namedResource({ body, note }: KeyServiceRequest): string {
  const name = requiredText(body, 'resource_name');
  note({ resourceName: name });
  if (isResourceName(name)) return name;
  throw invalidInput('malformed-request', `"resource_name" has more than ${LONGEST_RESOURCE_NAME} bytes.`);
}

const isResourceName = (name: string): boolean =>
  name.isWellFormed() && Buffer.byteLength(name) <= LONGEST_RESOURCE_NAME;

async function wrapContentKey(
  request: KeyServiceRequest,
  binding: ContentKeyBinding,
  context: KeyServiceContext,
) {
  const contentKey = requiredBytes(request.body, 'key', LONGEST_CONTENT_KEY);
  try {
    return { wrapped_key: await sealFor(contentKey, binding, request, context) };
  } finally {
    contentKey.fill(0);
  }
}

async function withContentKey(
  request: KeyServiceRequest,
  resourceName: string,
  context: KeyServiceContext,
  use: (opened: OpenedContentKey) => Readonly<Record<string, unknown>>,
) {
  const opened = await openContentKey(requiredText(request.body, 'wrapped_key'), resourceName, {
    keyEncryptionKeys: context.keyEncryptionKeys,
    tenantId: context.settings.tenantId,
  });
  request.note({ kekId: opened.kekId, perimeterId: opened.perimeterId });
  try {
    return use(opened);
  } finally {
    opened.contentKey.fill(0);
  }
}
