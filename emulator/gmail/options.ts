import { invalidArgument } from '../core/google-error.ts';

/** Behaviour of Gmail that no public source tells: both ways can be had, to see that a client bears either. */
export interface GmailOptions {
  /** Disabling a key pair that is disabled already: does nothing, or answers 400. */
  readonly disableAgain: 'accept' | 'refuse';
  /** Obliterating a key pair that an identity still names: answers 400, or leaves the identity without its key. */
  readonly obliterateInUse: 'accept' | 'refuse';
  /** A leaf that the user has already, with another wrapped key: answers 409, or makes a second key pair. */
  readonly sameLeafAgain: 'accept' | 'refuse';
}

export const DEFAULT_OPTIONS: GmailOptions = {
  disableAgain: 'accept',
  obliterateInUse: 'refuse',
  sameLeafAgain: 'refuse',
};
const NAMES = Object.keys(DEFAULT_OPTIONS);

/** Merges `{"disableAgain":"accept|refuse", …}` over what is in force. */
export function mergeOptions(
  current: GmailOptions,
  request: Readonly<Record<string, unknown>>,
): GmailOptions {
  const merged: Record<keyof GmailOptions, 'accept' | 'refuse'> = { ...current };
  for (const [name, value] of Object.entries(request)) {
    if (!isOption(name)) {
      throw invalidArgument(`Unknown option "${name}"; known are ${NAMES.join(', ')}.`);
    }
    if (value !== 'accept' && value !== 'refuse') {
      throw invalidArgument(`The option ${name} must be "accept" or "refuse".`);
    }
    merged[name] = value;
  }
  return merged;
}

const isOption = (name: string): name is keyof GmailOptions => NAMES.includes(name);
