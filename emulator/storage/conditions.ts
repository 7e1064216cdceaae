import type { Call } from '../core/route.ts';
import type { StoredObject } from './records.ts';
import { conditionNotMet, invalid } from './refusals.ts';

export const CONDITION_PARAMETERS = [
  'ifGenerationMatch',
  'ifGenerationNotMatch',
  'ifMetagenerationMatch',
  'ifMetagenerationNotMatch',
] as const;

/**
 * Checks a request's preconditions against the live object: https://cloud.google.com/storage/docs/request-preconditions.
 * Generation 0 stands for "there is no live object". Throws 412; for a read, a *NotMatch that does match is
 * answered `not-modified` instead.
 */
export function checkConditions(
  call: Call,
  live: StoredObject | undefined,
  reading = false,
): 'go-on' | 'not-modified' {
  const generation = live?.generation ?? '0';
  const metageneration = live?.metageneration;
  const [match, notMatch, metaMatch, metaNotMatch] = CONDITION_PARAMETERS.map((name) => number(call, name));
  if (match !== undefined && match !== generation) throw conditionNotMet();
  if (metaMatch !== undefined && metaMatch !== metageneration) throw conditionNotMet();
  const unchanged =
    (notMatch !== undefined && notMatch === generation) ||
    (metaNotMatch !== undefined && metaNotMatch === metageneration);
  if (!unchanged) return 'go-on';
  if (reading) return 'not-modified';
  throw conditionNotMet();
}

function number(call: Call, name: string): string | undefined {
  const text = call.query.get(name);
  if (text === null) return undefined;
  if (!/^\d{1,19}$/.test(text))
    throw invalid(`Invalid value for ${name}: "${text}" is no generation number.`);
  return text.replace(/^0+(?=\d)/, '');
}
