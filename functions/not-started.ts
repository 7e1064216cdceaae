/**
 * What a function that cannot be built answers, where its protocol has an error form of its own. By name, each in a constant of its
 * own too (`notStarted` and the name), so that the bundle of another function leaves it behind.
 */
import type { NotStartedAnswer } from './built-once.ts';
import type { FunctionName } from './catalog.ts';
import { keyServiceNotStarted } from './key-service-answers.ts';

export const notStartedKeyService: NotStartedAnswer = keyServiceNotStarted;

export const NOT_STARTED: Readonly<Partial<Record<FunctionName, NotStartedAnswer>>> = {
  'key-service': notStartedKeyService,
};
