import type { Call } from '../core/route.ts';
import { badRequest, domainNotFound, notAuthorized } from './refusals.ts';
import type { Tenant } from './tenant.ts';

/**
 * `customer` or `domain`, exactly one of them: the domain asked for, undefined for the whole customer. Throws 400
 * for none or both, 403 for another customer, 404 for another domain.
 */
export function requireScope(call: Call, tenant: Tenant): string | undefined {
  const customer = call.query.get('customer');
  const domain = call.query.get('domain')?.toLowerCase() ?? null;
  if ((customer === null) === (domain === null)) throw badRequest();
  if (customer !== null && customer !== 'my_customer' && customer !== tenant.customerId)
    throw notAuthorized();
  if (domain === null) return undefined;
  if (!tenant.domains.includes(domain)) throw domainNotFound();
  return domain;
}
