import { EDITOR, PROJECT, PubsubWorld, subscriptionName } from '../emulator/pubsub/world.ts';
import type { PubSubTraits, PubSubUnderTest, PulledMessage } from './pubsub.ts';

/** As the real service does it. */
export const OUR_TRAITS: PubSubTraits = {
  pushesCarryTokens: true,
  pushesCarryOrderingKeys: true,
  pushesCarryAttempts: true,
  filters: true,
  takesTagsOverRest: true,
  checksAckDeadlines: true,
};

export async function startOurPubSub(): Promise<PubSubUnderTest> {
  const world = await PubsubWorld.started();
  const client = world.client(EDITOR);
  return {
    project: PROJECT,
    client,
    restClient: client,
    async pull(subscription) {
      const { body } = await world.fetch('POST', `subscriptions/${subscription}:pull`, {
        maxMessages: 10,
        returnImmediately: true,
      });
      const received = (body['receivedMessages'] ?? []) as { ackId: string; message: PulledMessage }[];
      if (received.length > 0) {
        await world.subscriber().acknowledge({
          subscription: subscriptionName(subscription),
          ackIds: received.map((one) => one.ackId),
        });
      }
      return received.map((one) => one.message);
    },
    async close() {
      await client.close();
      await world.close();
    },
  };
}
