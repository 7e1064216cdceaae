/** Calls between our own functions: who may call this one, and how this one calls `sign` and the key service. */
import { signingClient } from '../../../shared/adapters/signing/client.ts';
import { need, type Settings } from '../../../shared/config/settings.ts';
import type { CallerRule } from '../../wire/caller.ts';
import type { Base } from './base.ts';

export const callersOf = (settings: Settings): CallerRule => ({
  behindIam: settings.SEALWRIGHT_BEHIND_IAM === 'true',
  audience: need(settings, 'SEALWRIGHT_AUDIENCE'),
  emails: need(settings, 'SEALWRIGHT_CALLERS'),
});

export const signingOf = (settings: Settings, { own }: Base) =>
  signingClient({ signUrl: need(settings, 'SEALWRIGHT_SIGN_URL'), fetchIdToken: own.fetchIdToken });

export const KEY_SERVICE_TIMEOUT_MS = 15_000;

export const keyServiceOptions = ({ own }: Base) => ({
  fetchIdToken: own.fetchIdToken,
  timeoutMs: KEY_SERVICE_TIMEOUT_MS,
});
