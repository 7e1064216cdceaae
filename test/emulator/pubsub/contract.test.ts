import { pubsubContract } from '../../contract/pubsub.ts';
import { OUR_TRAITS, startOurPubSub } from '../../contract/pubsub-ours.ts';

pubsubContract("Sealwright's emulator", OUR_TRAITS, startOurPubSub);
