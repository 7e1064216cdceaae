/** The kinds of event that a notification channel may bring, and until when the channels there are bring each of them. */

/** https://developers.google.com/workspace/admin/directory/v1/guides/push */
export const EVENT_KINDS = ['add', 'delete', 'makeAdmin', 'undelete', 'update'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** Leaving out the event kind subscribes to all of them. */
export const ALL_EVENTS = 'all';

/** An account that becomes an admin's keeps its certificate, and whether it is one is asked anew before anybody departs. */
export const isNeeded = (kind: string): boolean => kind !== 'makeAdmin';

export const brings = (channel: { readonly event: string }, kind: EventKind): boolean =>
  channel.event === ALL_EVENTS || channel.event === kind;

/** Whether Google ever answered for it; one without has been asked for, and there may be no such channel. */
export const isAnswered = ({ resourceId }: { readonly resourceId: string }): boolean => resourceId !== '';

export const isOver = ({ expiresAt }: { readonly expiresAt: Date }, now: Date): boolean =>
  expiresAt.getTime() <= now.getTime();

export interface KindEnd {
  readonly kind: EventKind;
  /** When the last channel that brings it ends or ended; absent: none is known. */
  readonly endsAt?: Date;
}

/** Of every kind, until when it is brought. */
export const endsOfKinds = (
  channels: readonly { readonly event: string; readonly expiresAt: Date }[],
): readonly KindEnd[] =>
  EVENT_KINDS.map((kind) => {
    const ends = channels
      .filter((channel) => brings(channel, kind))
      .map(({ expiresAt }) => expiresAt.getTime());
    return { kind, ...(ends.length === 0 ? {} : { endsAt: new Date(Math.max(...ends)) }) };
  });
