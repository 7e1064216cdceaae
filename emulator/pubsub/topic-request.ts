import { invalidArgument } from '../core/google-error.ts';
import type { Message, Shape } from '../core/message.ts';
import { durationMs } from './duration.ts';
import { checkLabels } from './labels.ts';
import { notEmulated } from './names.ts';
import type { Topic } from './resources.ts';
import { maskedPaths } from './update-mask.ts';

export const TOPIC_SHAPE = {
  name: 'string',
  labels: 'string-map',
  tags: 'string-map',
  messageStoragePolicy: {
    message: { allowedPersistenceRegions: { repeated: 'string' }, enforceInTransit: 'bool' },
  },
  kmsKeyName: 'string',
  schemaSettings: {
    message: { schema: 'string', encoding: 'string', firstRevisionId: 'string', lastRevisionId: 'string' },
  },
  satisfiesPzs: 'bool',
  messageRetentionDuration: 'string',
  state: 'string',
} as const satisfies Shape;

/** Fields Google knows whose behaviour is not offered here. Their inner form is not read. */
export const TOPIC_FIELDS_NOT_EMULATED = ['ingestionDataSourceSettings', 'messageTransforms'] as const;

const RETENTION = { minSeconds: 600, maxSeconds: 31 * 86_400 };
const UPDATABLE = ['labels', 'messageRetentionDuration', 'messageStoragePolicy'] as const;

/** The topic a create request describes. Throws 400 (501 for what is not emulated). */
export function topicFrom(name: string, given: Message<typeof TOPIC_SHAPE>): Topic {
  if (given.name !== undefined && given.name !== '' && given.name !== name) {
    throw invalidArgument(`The name in the body (${given.name}) is not the one in the path (${name}).`);
  }
  if ((given.kmsKeyName ?? '') !== '') throw notEmulated('kmsKeyName');
  if ((given.schemaSettings?.schema ?? '') !== '') throw notEmulated('schemaSettings');
  if (given.messageRetentionDuration !== undefined)
    durationMs(given.messageRetentionDuration, 'message_retention_duration', RETENTION);
  const regions = given.messageStoragePolicy?.allowedPersistenceRegions;
  if (given.messageStoragePolicy !== undefined && (regions ?? []).length === 0) {
    throw invalidArgument('The message_storage_policy must allow at least one region.');
  }
  checkLabels(given.labels);
  return {
    name,
    ...(Object.keys(given.labels ?? {}).length === 0 ? {} : { labels: given.labels ?? {} }),
    ...(given.messageRetentionDuration === undefined
      ? {}
      : { messageRetentionDuration: given.messageRetentionDuration }),
    ...(regions === undefined ? {} : { messageStoragePolicy: { allowedPersistenceRegions: regions } }),
  };
}

/** The topic after an update request. A masked field that is not given goes back to its default. */
export function updatedTopic(topic: Topic, given: Message<typeof TOPIC_SHAPE>, updateMask: string): Topic {
  const merged: Record<string, unknown> = { ...topic };
  for (const field of maskedPaths(updateMask, 'Topic', Object.keys(TOPIC_SHAPE), UPDATABLE)) {
    merged[field] = given[field as keyof typeof given];
    if (merged[field] === undefined) delete merged[field];
  }
  return topicFrom(topic.name, merged as Message<typeof TOPIC_SHAPE>);
}
