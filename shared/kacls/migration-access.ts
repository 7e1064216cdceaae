/**
 * The gate for Google while a customer moves from one key service to another. There is no person, so there is one
 * token, of an issuer that speaks for nothing else.
 */
import type { GatedOperation, Operation } from './access.ts';
import { authorizationIssuers, requireOurUrl, requireOwnerDomain, requireRole } from './google-tokens.ts';
import { type Claims, verifyToken } from './tokens.ts';

export function forMigration(role: 'verifier' | 'migrator', operation: Operation<Claims>): GatedOperation {
  return async (request, context) => {
    const { settings, rateLimits } = context;
    const issuers = authorizationIssuers(['migration'], settings);
    const authorization = await verifyToken(request.body, 'authorization', issuers, context);
    request.note({ authenticated: authorization.iss, resourceName: authorization['resource_name'] });
    rateLimits.privileged.take(String(authorization.iss));
    requireRole(authorization, [role]);
    requireOurUrl(authorization, settings);
    requireOwnerDomain(authorization, settings);
    return operation(request, authorization, context);
  };
}
