/**
 * What an administrator clicks in the Admin console for Gmail's client-side encryption, as JSON controls under
 * `/_emulator/admin-console/` and as calls for the other rooms: uploaded S/MIME roots, where encryption is switched
 * on, which key service is registered, who has a licence. No Google API does any of this, so none is imitated.
 */
import { parseDuration } from '../core/clock.ts';
import type { EmulatorContext } from '../core/context.ts';
import { invalidArgument, notFound } from '../core/google-error.ts';
import type { Account, Accounts, Room } from '../core/rooms.ts';
import { type Call, jsonBody, ok, type Route } from '../core/route.ts';
import { type CseSettings, CseSwitch, normalPath, unitsAbove } from './cse-switch.ts';
import { Roots, type UploadedRoot } from './roots.ts';

export type { UploadedRoot } from './roots.ts';

export interface AdminConsole extends Room {
  /** Uploads the PEM file that the Admin console takes. Throws 400 or 409 as a `GoogleError`. */
  uploadRoot(
    pem: string,
    domains?: readonly string[],
  ): { readonly root: UploadedRoot; readonly warnings: readonly string[] };
  removeRoot(fingerprint: string): void;
  roots(): readonly UploadedRoot[];
  /** DER of the roots that count for the domain of this address. */
  trustedRoots(address: string): readonly Buffer[];
  /** Switches encryption for a unit or an account; `enabled` undefined takes the setting away, so that it inherits. */
  switchCse(
    target: { readonly orgUnitPath: string } | { readonly accountId: string },
    enabled: boolean | undefined,
    delayMs?: number,
  ): void;
  /** Why this account may not use Gmail's client-side encryption now, as a sentence; undefined when it may. */
  refusal(account: Account): string | undefined;
  /** Registers a key service and assigns it to a unit, `/` unless told. Earlier ones stay registered. */
  registerKeyService(url: string, orgUnitPath?: string): void;
  /** Base addresses registered, without a trailing slash. */
  keyServices(): readonly string[];
  /** The key service of the nearest unit above the account. */
  keyServiceOf(account: Account): string | undefined;
  setLicence(accountId: string, licensed: boolean): void;
}

export interface AdminConsoleDependencies {
  readonly accounts: Accounts;
}

interface Settings {
  readonly roots: UploadedRoot[];
  readonly cse: CseSettings;
  /** Key service by unit path, lower case. */
  readonly keyServiceByUnit: Record<string, string>;
  readonly keyServices: string[];
  /** Account ids; everybody else has one. */
  unlicensed: string[];
}

const BASE = '/_emulator/admin-console';

/** A new tenant has encryption switched on for the whole organization and neither roots nor a key service. */
const newSettings = (): Settings => ({
  roots: [],
  cse: { units: { '/': { enabled: true, effectiveAtMs: 0 } }, users: {} },
  keyServiceByUnit: {},
  keyServices: [],
  unlicensed: [],
});

export function createAdminConsole(
  context: EmulatorContext,
  dependencies: AdminConsoleDependencies,
): AdminConsole {
  const settings = context.state.section<Settings>('adminConsole', newSettings);
  const roots = new Roots(settings.roots);
  const cse = new CseSwitch(context.clock, settings.cse);

  const room: Omit<AdminConsole, 'routes'> = {
    uploadRoot(pem, domains) {
      const uploaded = roots.upload(pem, domains, context.clock.now());
      context.state.changed();
      return uploaded;
    },
    removeRoot(fingerprint) {
      roots.remove(fingerprint);
      context.state.changed();
    },
    roots: () => roots.all,
    trustedRoots: (address) => roots.trustedFor(address),
    switchCse(target, enabled, delayMs = 0) {
      cse.set(target, enabled, delayMs);
      context.state.changed();
    },
    refusal: (account) =>
      settings.unlicensed.includes(account.id)
        ? `${account.primaryEmail} has no licence that includes client-side encryption.`
        : cse.refusal(account),
    registerKeyService(url, orgUnitPath = '/') {
      const base = keyServiceBase(url);
      if (!settings.keyServices.includes(base)) settings.keyServices.push(base);
      settings.keyServiceByUnit[normalPath(orgUnitPath)] = base;
      context.state.changed();
    },
    keyServices: () => settings.keyServices,
    keyServiceOf: (account) =>
      unitsAbove(account.orgUnitPath)
        .map((path) => settings.keyServiceByUnit[path])
        .find((url) => url !== undefined),
    setLicence(accountId, licensed) {
      settings.unlicensed = settings.unlicensed.filter((id) => id !== accountId);
      if (!licensed) settings.unlicensed.push(accountId);
      context.state.changed();
    },
  };

  const accountNamed = (address: string): Account => {
    const account = dependencies.accounts.byAddress(address);
    if (account === undefined) throw notFound(`No account has the address ${address}.`);
    return account;
  };

  const handlers: readonly [Route['verb'], string, (call: Call) => unknown][] = [
    ['GET', 'roots', () => ({ roots: room.roots() })],
    [
      'POST',
      'roots',
      (call) => {
        const body = fields(call, ['pem', 'domains']);
        const { root, warnings } = room.uploadRoot(text(body, 'pem'), domainList(body['domains']));
        return { ...root, warnings };
      },
    ],
    ['DELETE', 'roots/:fingerprint', (call) => room.removeRoot(call.params['fingerprint'] ?? '') ?? {}],
    [
      'POST',
      'cse',
      (call) => {
        const body = fields(call, ['orgUnitPath', 'user', 'enabled', 'delay']);
        if ((body['orgUnitPath'] === undefined) === (body['user'] === undefined)) {
          throw invalidArgument('Exactly one of orgUnitPath and user must be given.');
        }
        const target =
          body['user'] === undefined
            ? { orgUnitPath: text(body, 'orgUnitPath') }
            : { accountId: accountNamed(text(body, 'user')).id };
        room.switchCse(target, enabledOrInherited(body['enabled']), delayMs(body['delay']));
        return settings.cse;
      },
    ],
    [
      'POST',
      'key-service',
      (call) => {
        const body = fields(call, ['url', 'orgUnitPath']);
        room.registerKeyService(
          text(body, 'url'),
          body['orgUnitPath'] === undefined ? '/' : text(body, 'orgUnitPath'),
        );
        return { keyServices: settings.keyServices, byUnit: settings.keyServiceByUnit };
      },
    ],
    [
      'POST',
      'licence',
      (call) => {
        const body = fields(call, ['user', 'licensed']);
        const account = accountNamed(text(body, 'user'));
        if (typeof body['licensed'] !== 'boolean') throw invalidArgument('licensed must be true or false.');
        room.setLicence(account.id, body['licensed']);
        return { user: account.primaryEmail, licensed: body['licensed'] };
      },
    ],
  ];

  return {
    ...room,
    routes: handlers.map(([verb, path, handle]) => ({
      id: `emulator.adminConsole.${path.split('/')[0]}`,
      verb,
      path: `${BASE}/${path}`,
      scopes: 'none',
      control: true,
      handle: (call) => ok(handle(call)),
    })),
  };
}

function fields(call: Call, known: readonly string[]): Record<string, unknown> {
  const body = jsonBody(call);
  const unknown = Object.keys(body).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw invalidArgument(`Unknown field "${unknown}"; known are ${known.join(', ')}.`);
  return body;
}

function text(body: Record<string, unknown>, name: string): string {
  const value = body[name];
  if (typeof value === 'string' && value !== '') return value;
  throw invalidArgument(`${name} must be text and not empty.`);
}

function domainList(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined;
  const isList = Array.isArray(value) && value.length > 0;
  if (isList && value.every((domain): domain is string => typeof domain === 'string')) return value;
  throw invalidArgument('domains must be a list of at least one mail domain.');
}

function enabledOrInherited(value: unknown): boolean | undefined {
  if (value === 'inherit') return undefined;
  if (typeof value === 'boolean') return value;
  throw invalidArgument('enabled must be true, false or "inherit".');
}

function delayMs(value: unknown): number {
  if (value === undefined) return 0;
  const parsed = typeof value === 'string' ? parseDuration(value) : undefined;
  if (parsed === undefined) throw invalidArgument('delay must be a length of time such as "24h".');
  return parsed;
}

/** Google appends the operation to the base address, so it must have neither query nor fragment. */
function keyServiceBase(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (
    parsed === undefined ||
    !/^https?:$/.test(parsed.protocol) ||
    parsed.search !== '' ||
    parsed.hash !== ''
  ) {
    throw invalidArgument('url must be the base address of a key service, without query or fragment.');
  }
  return url.replace(/\/+$/, '');
}
