import type { EmulatorClock } from '../core/clock.ts';
import type { Account } from '../core/rooms.ts';

/** One setting of "Client-side encryption for Gmail", on a unit or a user. */
export interface CseSetting {
  readonly enabled: boolean;
  /** When Gmail starts to accept calls after switching on, milliseconds since 1970. */
  readonly effectiveAtMs: number;
}

export interface CseSettings {
  /** By organizational unit path, lower case. */
  readonly units: Record<string, CseSetting>;
  /** By account id. */
  readonly users: Record<string, CseSetting>;
}

/** Whether client-side encryption is on for an account: its own setting, else that of the nearest unit above it. */
export class CseSwitch {
  readonly #clock: EmulatorClock;
  readonly #settings: CseSettings;

  /** `settings` is the stored value, changed in place. */
  constructor(clock: EmulatorClock, settings: CseSettings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  /** `delayMs` counts from now and only when switching on; what is on already stays on. `enabled` undefined inherits. */
  set(
    target: { orgUnitPath: string } | { accountId: string },
    enabled: boolean | undefined,
    delayMs: number,
  ): void {
    const isUnit = 'orgUnitPath' in target;
    const settings = isUnit ? this.#settings.units : this.#settings.users;
    const key = isUnit ? normalPath(target.orgUnitPath) : target.accountId;
    if (enabled === undefined) {
      delete settings[key];
      return;
    }
    if (enabled && settings[key]?.enabled) return;
    settings[key] = { enabled, effectiveAtMs: this.#clock.nowMs() + (enabled ? delayMs : 0) };
  }

  /** Why it is not on for this account, as a sentence; undefined when it is. */
  refusal(account: Account): string | undefined {
    const setting =
      this.#settings.users[account.id] ??
      unitsAbove(account.orgUnitPath)
        .map((path) => this.#settings.units[path])
        .find((found) => found !== undefined);
    if (setting?.enabled !== true) {
      return `Client-side encryption for Gmail is not turned on for ${account.primaryEmail}.`;
    }
    return this.#clock.nowMs() >= setting.effectiveAtMs
      ? undefined
      : `Client-side encryption for Gmail was turned on for ${account.primaryEmail} but has not taken effect yet.`;
  }
}

/** `/Staff/Sales` → `/staff/sales`, `/staff`, `/`. */
export function unitsAbove(path: string): readonly string[] {
  const names = normalPath(path).split('/').slice(1);
  const nested = names.map((_, index) => `/${names.slice(0, names.length - index).join('/')}`);
  return nested.includes('/') ? nested : [...nested, '/'];
}

/** Unit paths are compared without regard to case; `/` is the organization itself. */
export const normalPath = (path: string): string => `/${path.toLowerCase().replace(/^\/+|\/+$/g, '')}`;
