import { invalidArgument } from '../core/google-error.ts';

/** A message as a publisher hands it over. */
export interface NewMessage {
  readonly data: Buffer;
  readonly attributes: Readonly<Record<string, string>>;
  /** Empty for none. */
  readonly orderingKey: string;
}

/** https://docs.cloud.google.com/pubsub/quotas#resource_limits */
const LIMITS = {
  messages: 1000,
  requestBytes: 10_000_000,
  attributes: 100,
  attributeKeyBytes: 256,
  attributeValueBytes: 1024,
  orderingKeyBytes: 1024,
} as const;

/** Throws 400 unless Google would take these messages in one publish request. */
export function checkMessages(messages: readonly NewMessage[]): void {
  if (messages.length === 0) throw tooSmall('message_count', 0, 1);
  if (messages.length > LIMITS.messages) throw tooLarge('message_count', messages.length, LIMITS.messages);
  const bytes = messages.reduce((sum, message) => sum + sizeOf(message), 0);
  if (bytes > LIMITS.requestBytes) {
    throw invalidArgument(`Request payload size exceeds the limit: ${LIMITS.requestBytes} bytes.`);
  }
  for (const message of messages) checkMessage(message);
  if (new Set(messages.map((message) => message.orderingKey)).size > 1) {
    throw invalidArgument(
      'In a single publish request, all messages must have no ordering key or they must all have the same ordering key.',
    );
  }
}

function checkMessage(message: NewMessage): void {
  const attributes = Object.entries(message.attributes);
  if (message.data.length === 0 && attributes.length === 0) {
    throw invalidArgument(
      'One or more messages in the publish request is empty. Each message must contain either non-empty data, or at least one attribute.',
    );
  }
  if (attributes.length > LIMITS.attributes)
    throw tooLarge('attributes_count', attributes.length, LIMITS.attributes);
  for (const [key, value] of attributes) {
    if (key === '') throw tooSmall('attribute_key_length', 0, 1);
    if (key.startsWith('goog'))
      throw invalidArgument(`The attribute key "${key}" must not start with "goog".`);
    if (Buffer.byteLength(key) > LIMITS.attributeKeyBytes)
      throw tooLarge('attribute_key_length', Buffer.byteLength(key), LIMITS.attributeKeyBytes);
    if (Buffer.byteLength(value) > LIMITS.attributeValueBytes)
      throw tooLarge('attribute_value_length', Buffer.byteLength(value), LIMITS.attributeValueBytes);
  }
  if (Buffer.byteLength(message.orderingKey) > LIMITS.orderingKeyBytes) {
    throw tooLarge('ordering_key_length', Buffer.byteLength(message.orderingKey), LIMITS.orderingKeyBytes);
  }
}

function sizeOf(message: NewMessage): number {
  return Object.entries(message.attributes).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    message.data.length + Buffer.byteLength(message.orderingKey),
  );
}

/** Google's sentence for a number below its minimum. */
export const tooSmall = (field: string, given: number, minimum: number) =>
  invalidArgument(
    `The value for ${field} is too small. You passed ${given} in the request, but the minimum value is ${minimum}.`,
  );

/** Google's sentence for a number above its maximum. */
export const tooLarge = (field: string, given: number, maximum: number) =>
  invalidArgument(
    `The value for ${field} is too large. You passed ${given} in the request, but the maximum value is ${maximum}.`,
  );
