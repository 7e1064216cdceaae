import { PubSub } from '@google-cloud/pubsub';
import { PassThroughClient } from 'google-auth-library';
import type { PubSubTraits, PubSubUnderTest, PulledMessage } from './pubsub.ts';

/** Where Google's emulator (0.8.20) falls short of the real service. */
export const GOOGLE_TRAITS: PubSubTraits = {
  pushesCarryTokens: false,
  pushesCarryOrderingKeys: false,
  pushesCarryAttempts: false,
  filters: false,
  takesTagsOverRest: false,
  checksAckDeadlines: false,
};

const PROJECT = 'acme-sealwright';

/** Google's own emulator, listening at `host`, behind the clients that the contract uses. */
export async function startTheirPubSub(host: string): Promise<PubSubUnderTest> {
  // gRPC, the transport this client uses on its own; `apiEndpoint` spares the other clients of this process
  // PUBSUB_EMULATOR_HOST.
  const client = new PubSub({ projectId: PROJECT, apiEndpoint: host });
  const restClient = new PubSub({
    projectId: PROJECT,
    apiEndpoint: host,
    protocol: 'http',
    fallback: 'rest',
    authClient: new PassThroughClient(),
  } as ConstructorParameters<typeof PubSub>[0]);
  const rest = async (path: string, body: unknown) => {
    const response = await fetch(`http://${host}/v1/projects/${PROJECT}/subscriptions/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`Google's emulator answered ${response.status} to ${path}.`);
    return (await response.json()) as { receivedMessages?: { ackId: string; message: PulledMessage }[] };
  };
  return {
    project: PROJECT,
    client,
    restClient,
    async pull(subscription) {
      const { receivedMessages = [] } = await rest(`${subscription}:pull`, {
        maxMessages: 10,
        returnImmediately: true,
      });
      if (receivedMessages.length > 0)
        await rest(`${subscription}:acknowledge`, { ackIds: receivedMessages.map((one) => one.ackId) });
      return receivedMessages.map((one) => one.message);
    },
    async close() {
      await client.close();
      await restClient.close();
    },
  };
}
