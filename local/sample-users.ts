import { COMPANY, SAMPLE_USERS } from './company.ts';
import { delegatedToken } from './delegated-token.ts';
import type { ReadyLine } from './system.ts';

/**
 * Creates the sample users through the Directory API, as an admin's own tool would, so that they are provisioned by
 * the events this causes. Only where nobody but the super admin is or was: of a company that lives already, who was deleted or
 * moved, and which units are left, is for whoever tries things out.
 */
export async function createSampleUsers(ready: ReadyLine): Promise<void> {
  const token = await delegatedToken(ready, COMPANY.superAdmin, [
    'https://www.googleapis.com/auth/admin.directory.user',
  ]);
  const users = new URL('admin/directory/v1/users', ready.google);
  const authorization = `Bearer ${token}`;
  if (await isInhabited(users, authorization)) return;
  for (const { givenName, familyName, ...user } of SAMPLE_USERS) {
    const response = await fetch(users, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ ...user, name: { givenName, familyName }, password: 'not used by anybody' }),
    });
    if (!response.ok) throw new Error(`${user.primaryEmail} could not be created: ${await response.text()}`);
  }
}

async function isInhabited(users: URL, authorization: string): Promise<boolean> {
  for (const showDeleted of ['false', 'true']) {
    const list = new URL(users);
    list.search = new URLSearchParams({ customer: 'my_customer', showDeleted }).toString();
    const response = await fetch(list, { headers: { authorization } });
    if (!response.ok) throw new Error(`The users could not be listed: ${await response.text()}`);
    const page = (await response.json()) as { users?: readonly { readonly primaryEmail: string }[] };
    if (page.users?.some(({ primaryEmail }) => primaryEmail !== COMPANY.superAdmin) === true) return true;
  }
  return false;
}
