import type { Cause } from '../domain/hint.ts';
import { isSealwrightError } from '../errors.ts';
import type { ReconcileDeps } from './context.ts';

/**
 * Asks for other users to be looked at because of what was seen or done here. A hint that cannot be sent loses nothing but
 * time: whoever waits wakes by themselves.
 */
export async function lookAt(
  { deps, cause }: { readonly deps: Pick<ReconcileDeps, 'bus' | 'log'>; readonly cause: Cause },
  userIds: readonly string[],
  event: string,
): Promise<void> {
  try {
    await deps.bus.publishHints(userIds.map((userId) => ({ userId, cause: { ...cause, event } })));
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    deps.log.warning('hint-not-sent', {
      userIds: userIds.join(' '),
      code: error.code,
      message: error.message,
    });
  }
}
