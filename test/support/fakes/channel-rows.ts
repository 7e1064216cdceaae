import type { Lease, Ledger } from '../../../shared/ports/ledger.ts';

type ChannelLedger = Pick<
  Ledger,
  'channels' | 'readChannel' | 'recordChannel' | 'forgetChannel' | 'acquireLease' | 'releaseLease'
>;

/** The ledger's channel rows in memory, with leases that never run out. */
export interface ChannelRows extends ChannelLedger {
  readonly held: ReadonlySet<string>;
}

export function channelRows(): ChannelRows {
  const rows = new Map<string, Parameters<Ledger['recordChannel']>[0]>();
  const held = new Set<string>();
  return {
    held,
    channels: async () => [...rows.values()],
    readChannel: async (channelId) => rows.get(channelId),
    recordChannel: async (channel) => {
      rows.set(channel.channelId, channel);
    },
    forgetChannel: async (channelId) => {
      rows.delete(channelId);
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
