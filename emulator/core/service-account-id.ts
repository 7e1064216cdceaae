import { createHash } from 'node:crypto';

/**
 * The numeric id a service account has beside its address: 21 decimal digits, the same for the same address. Google
 * puts it into `sub` and `azp` of the ID tokens it mints for the account.
 * https://docs.cloud.google.com/pubsub/docs/authenticate-push-subscriptions
 */
export function serviceAccountId(email: string): string {
  const digest = createHash('sha256').update(email.toLowerCase()).digest('hex');
  return `1${(BigInt(`0x${digest}`) % 10n ** 20n).toString().padStart(20, '0')}`;
}
