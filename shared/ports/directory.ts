import type { DirectoryPresence, DirectoryUser } from '../domain/directory-user.ts';

export interface WatchChannel {
  readonly channelId: string;
  readonly resourceId: string;
  readonly expiresAt: Date;
}

/**
 * The Workspace directory, read-only. Throws `directory-unavailable` (retryable), `directory-refused` (permanent).
 * https://developers.google.com/workspace/admin/directory/reference/rest/v1/users
 */
export interface Directory {
  /** Looks an id up among the living, then in the list of users deleted in the last 20 days. */
  presence(userId: string): Promise<DirectoryPresence>;
  /**
   * The immutable id that now answers to an address (primary or alias), or of the user deleted under that address;
   * undefined when nobody has it.
   */
  resolve(address: string): Promise<string | undefined>;
  /** Every user in the subtree of an org unit (`/` for everybody), page by page. */
  usersUnder(orgUnitPath: string): AsyncIterable<DirectoryUser>;
  watch(request: {
    channelId: string;
    token: string;
    address: string;
    event?: string;
    ttlSeconds?: number;
  }): Promise<WatchChannel>;
  stopChannel(channel: { channelId: string; resourceId: string }): Promise<void>;
}
