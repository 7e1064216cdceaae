import { UsageError } from '../failure.ts';

/** What `--confirm-users` says. */
export function numberOfUsers(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new UsageError(`--confirm-users takes a number of users, not "${text}".`);
}
