import { PubSub } from '@google-cloud/pubsub';
import { PassThroughClient } from 'google-auth-library';
import { afterAll, describe } from 'vitest';
import {
  type PubSubTraits,
  type PubSubUnderTest,
  type PulledMessage,
  pubsubContract,
} from '../contract/pubsub.ts';
import { OUR_TRAITS, startOurPubSub } from '../contract/pubsub-ours.ts';
import { startGooglePubSub } from '../support/google-pubsub.ts';

/** Where Google's emulator (0.8.20) falls short of the real service. */
const GOOGLE_TRAITS: PubSubTraits = {
  pushesCarryTokens: false,
  pushesCarryOrderingKeys: false,
  pushesCarryAttempts: false,
  filters: false,
  takesTagsOverRest: false,
  checksAckDeadlines: false,
};

const PROJECT = 'acme-sealwright';
const google = await startGooglePubSub();
afterAll(async () => {
  await google?.stop();
});

async function startTheirs(): Promise<PubSubUnderTest> {
  const host = google?.host ?? '';
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

describe.skipIf(google === undefined)('the contract', () => {
  pubsubContract("Google's emulator", GOOGLE_TRAITS, startTheirs);
  pubsubContract("Sealwright's emulator", OUR_TRAITS, startOurPubSub);
});
