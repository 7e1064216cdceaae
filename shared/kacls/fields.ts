/** Reading the fields of a request body. All of them throw `malformed-request` (invalid input), naming the field. */
import { invalidInput } from '../errors.ts';
import { requireBase64 } from './base64.ts';

export type RequestBody = Readonly<Record<string, unknown>>;

/** Undefined when absent, null or empty: senders leave optional fields out in all three ways. */
export function optionalText(body: RequestBody, field: string): string | undefined {
  const value = body[field];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw invalidInput('malformed-request', `"${field}" must be a string.`);
  return value;
}

export function requiredText(body: RequestBody, field: string): string {
  const value = optionalText(body, field);
  if (value === undefined) throw invalidInput('malformed-request', `"${field}" is missing or empty.`);
  return value;
}

/** Decoded bytes, at most `maxBytes`. */
export const requiredBytes = (body: RequestBody, field: string, maxBytes: number): Buffer =>
  requireBase64(field, requiredText(body, field), maxBytes);

export function optionalBytes(body: RequestBody, field: string, maxBytes: number): Buffer | undefined {
  const text = optionalText(body, field);
  return text === undefined ? undefined : requireBase64(field, text, maxBytes);
}

export function optionalInteger(body: RequestBody, field: string): number | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw invalidInput('malformed-request', `"${field}" must be a whole number.`);
  }
  return value;
}

const LONGEST_PERIMETER = 128;

/** `perimeter_id`, empty when absent; at most 128 bytes. */
export function optionalPerimeter(body: RequestBody): string {
  const perimeterId = optionalText(body, 'perimeter_id') ?? '';
  if (Buffer.byteLength(perimeterId) <= LONGEST_PERIMETER && perimeterId.isWellFormed()) return perimeterId;
  throw invalidInput(
    'malformed-request',
    `"perimeter_id" must be text of at most ${LONGEST_PERIMETER} bytes.`,
  );
}
