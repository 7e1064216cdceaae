import { invalidInput } from '../../shared/errors.ts';

/** One Pub/Sub push, decoded. https://cloud.google.com/pubsub/docs/push#receive_push */
export interface PushedMessage {
  readonly messageId: string;
  readonly data: Buffer;
  /** Counted from 1 where the subscription has a dead-letter policy. */
  readonly deliveryAttempt?: number;
}

/** Takes both spellings of the keys, because Google's own emulator sends both. Throws `malformed-event`. */
export function parsePushEnvelope(body: Readonly<Record<string, unknown>>): PushedMessage {
  const message = body['message'];
  if (message === null || typeof message !== 'object' || Array.isArray(message)) {
    throw invalidInput('malformed-event', 'The push carries no "message" object.');
  }
  const fields = message as Record<string, unknown>;
  const messageId = fields['messageId'] ?? fields['message_id'];
  if (typeof messageId !== 'string' || messageId === '' || messageId.includes('\0')) {
    throw invalidInput('malformed-event', 'The pushed message has no "messageId".');
  }
  const data = fields['data'] ?? '';
  if (typeof data !== 'string')
    throw invalidInput('malformed-event', `Message ${messageId}: "data" is not base64 text.`);
  const attempt = body['deliveryAttempt'];
  return {
    messageId,
    data: Buffer.from(data, 'base64'),
    ...(typeof attempt === 'number' ? { deliveryAttempt: attempt } : {}),
  };
}

/** The JSON object a message carries. Throws `malformed-event` naming the message. */
export function parseMessageJson(message: PushedMessage): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(message.data.toString('utf8'));
  } catch (error) {
    throw invalidInput('malformed-event', `Message ${message.messageId} carries no JSON.`, { cause: error });
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw invalidInput('malformed-event', `Message ${message.messageId} carries no JSON object.`);
  }
  return value as Record<string, unknown>;
}
