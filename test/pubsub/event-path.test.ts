import { afterAll, describe } from 'vitest';
import { eventPathContract } from '../contract/event-path.ts';
import { OUR_TRAITS, startOurPubSub } from '../contract/pubsub-ours.ts';
import { GOOGLE_TRAITS, startTheirPubSub } from '../contract/pubsub-theirs.ts';
import { startGooglePubSub } from '../support/google-pubsub.ts';

const google = await startGooglePubSub();
afterAll(async () => {
  await google?.stop();
});

describe.skipIf(google === undefined)('the product', () => {
  eventPathContract("Google's emulator", GOOGLE_TRAITS, () => startTheirPubSub(google?.host ?? ''));
  eventPathContract("Sealwright's emulator", OUR_TRAITS, startOurPubSub);
});
