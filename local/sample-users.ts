import { COMPANY, SAMPLE_USERS } from './company.ts';
import { delegatedToken } from './delegated-token.ts';
import type { ReadyLine } from './system.ts';

/**
 * Creates the sample users through the Directory API, as an admin's own tool would, so that they are provisioned by
 * the events this causes. Those that exist from an earlier run stay.
 */
export async function createSampleUsers(ready: ReadyLine): Promise<void> {
  const token = await delegatedToken(ready, COMPANY.superAdmin, [
    'https://www.googleapis.com/auth/admin.directory.user',
  ]);
  for (const { givenName, familyName, ...user } of SAMPLE_USERS) {
    const response = await fetch(new URL('admin/directory/v1/users', ready.google), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...user, name: { givenName, familyName }, password: 'not used by anybody' }),
    });
    if (!response.ok && response.status !== 409) {
      throw new Error(`${user.primaryEmail} could not be created: ${await response.text()}`);
    }
  }
}
