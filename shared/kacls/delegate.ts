/**
 * POST delegate: gives a device or a room of Meet a token of our own, for one resource and a quarter of an hour. It is
 * taken by wrap and unwrap alone, and there only beside a token of Google for the same delegate and resource.
 * https://developers.google.com/workspace/cse/reference/delegate
 */
import { type Operation, textClaim } from './access.ts';
import { authorizedResource } from './content-keys.ts';
import { perimeterOf } from './google-tokens.ts';
import { signDelegatedToken } from './own-tokens.ts';
import { claimsOfPerimeters } from './perimeters.ts';
import { type AuthorizedUser, requirePerimeter } from './user-access.ts';

/** Answers `{delegated_authentication}`. */
export const delegate: Operation<AuthorizedUser> = async ({ note }, user, context) => {
  const { authentication, authorization } = user;
  const delegatedTo = textClaim(authorization, 'authorization', 'delegated_to');
  const resourceName = authorizedResource(authorization);
  note({ delegatedTo });
  requirePerimeter(user, perimeterOf(authorization), context);
  // What perimeters ask of a person must be found in the delegate's token too.
  const carried = ['email', 'google_email', ...claimsOfPerimeters(context.settings.perimeters)]
    .filter((name) => Object.hasOwn(authentication, name))
    .map((name) => [name, authentication[name]] as const);
  return {
    delegated_authentication: await signDelegatedToken(
      { ...Object.fromEntries(carried), delegated_to: delegatedTo, resource_name: resourceName },
      context,
    ),
  };
};
