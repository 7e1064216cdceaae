/** The policy in force. */
import { readFileSync } from 'node:fs';
import { type ActivePolicySource, activePolicySource } from '../../../shared/activation/active-policy.ts';
import { need, type Settings } from '../../../shared/config/settings.ts';
import { invalidInput } from '../../../shared/errors.ts';
import type { Directory } from '../../../shared/ports/directory.ts';
import type { Ledger } from '../../../shared/ports/ledger.ts';
import type { Base } from './base.ts';

/** The policy of this function's file once it is activated, or the one before. Throws at once for a file with mistakes. */
export function policiesOf(
  settings: Settings,
  deps: Base & { readonly ledger: Ledger; readonly directory: Directory },
  activatedBy: string,
): ActivePolicySource {
  const name = need(settings, 'SEALWRIGHT_POLICY_FILE');
  let text: string;
  try {
    text = readFileSync(name, 'utf8');
  } catch (error) {
    throw invalidInput('settings-invalid', `The policy file ${name} cannot be read.`, { cause: error });
  }
  return activePolicySource(deps, { text, name, activatedBy });
}
