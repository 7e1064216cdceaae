import type { SourceNews } from '../../../shared/ports/ledger/sources.ts';
import type { Lease, Ledger } from '../../../shared/ports/ledger.ts';

type ChannelLedger = Pick<
  Ledger,
  | 'channels'
  | 'readChannel'
  | 'recordChannel'
  | 'retireChannel'
  | 'recordStrayNotification'
  | 'strayChannels'
  | 'recordChannelStopped'
  | 'recordNews'
  | 'acquireLease'
  | 'releaseLease'
>;

/** The ledger's channel rows in memory, with leases that never run out. */
export interface ChannelRows extends ChannelLedger {
  readonly held: ReadonlySet<string>;
  readonly news: readonly SourceNews[];
}

type Row = Parameters<Ledger['recordChannel']>[0] & { retiredAt?: Date; heard?: boolean };

export function channelRows(): ChannelRows {
  const rows = new Map<string, Row>();
  const held = new Set<string>();
  const news: SourceNews[] = [];
  return {
    held,
    news,
    channels: async () => [...rows.values()].filter(({ retiredAt }) => retiredAt === undefined),
    readChannel: async (channelId) => rows.get(channelId),
    recordChannel: async (channel) => {
      rows.set(channel.channelId, { ...rows.get(channel.channelId), ...channel });
    },
    retireChannel: async (channelId) => {
      const row = rows.get(channelId);
      if (row !== undefined) rows.set(channelId, { ...row, retiredAt: row.expiresAt });
    },
    recordStrayNotification: async (channelId, resourceId) => {
      const row = rows.get(channelId);
      if (row !== undefined)
        rows.set(channelId, { ...row, heard: true, resourceId: row.resourceId || resourceId });
    },
    strayChannels: async () =>
      [...rows.values()].filter(
        ({ retiredAt, heard, resourceId }) => retiredAt !== undefined && heard === true && resourceId !== '',
      ),
    recordChannelStopped: async (channelId) => {
      const row = rows.get(channelId);
      if (row !== undefined) rows.set(channelId, { ...row, heard: false });
    },
    recordNews: async (told) => {
      news.push(told);
    },
    acquireLease: async (subject): Promise<Lease | undefined> => {
      if (held.has(subject)) return undefined;
      held.add(subject);
      return { subject, holder: 'test', fence: 1n };
    },
    releaseLease: async ({ subject }) => {
      held.delete(subject);
      return 'released';
    },
  };
}
