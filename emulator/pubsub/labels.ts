import { invalidArgument } from '../core/google-error.ts';

const KEY = /^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u;
const VALUE = /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u;
const MAX = 64;

/** https://docs.cloud.google.com/pubsub/docs/create-subscription#labels : at most 64, lower case, 63 characters. */
export function checkLabels(labels: Readonly<Record<string, string>> | undefined): void {
  const entries = Object.entries(labels ?? {});
  if (entries.length > MAX)
    throw invalidArgument(`There are ${entries.length} labels; at most ${MAX} are allowed.`);
  for (const [key, value] of entries) {
    if (!KEY.test(key)) throw invalidArgument(`Invalid label key "${key}".`);
    if (!VALUE.test(value)) throw invalidArgument(`Invalid value "${value}" of label "${key}".`);
  }
}
