/** The User resource: what a request may write, what an answer shows, and what is wrong with a value. */
import { createHash } from 'node:crypto';
import type { FieldKind, Message, Shape } from '../core/message.ts';
import { type Call, jsonBody } from '../core/route.ts';
import { domainOf, parseAddress } from './addresses.ts';
import type { Selectable, SelectableTree } from './field-mask.ts';
import { isObject } from './json-object.ts';
import type { UserRecord } from './records.ts';
import { domainNotFound, invalid, invalidInput } from './refusals.ts';
import { addressesOf, type Tenant } from './tenant.ts';

/** Fields the room only keeps and gives back, with the most bytes Google takes where it says so. */
const PROFILE_LIMIT_BYTES = {
  addresses: 10_240,
  emails: 10_240,
  externalIds: 2048,
  gender: 1024,
  ims: 2048,
  keywords: 1024,
  languages: 1024,
  locations: 10_240,
  notes: undefined,
  organizations: 10_240,
  phones: 1024,
  posixAccounts: undefined,
  recoveryEmail: undefined,
  recoveryPhone: undefined,
  relations: 2048,
  sshPublicKeys: undefined,
  websites: 2048,
} as const;

type ProfileField = keyof typeof PROFILE_LIMIT_BYTES;

/** Every field of the User message; those marked output only in the documents are taken and ignored. */
export const USER = {
  addresses: 'any',
  agreedToTerms: 'bool',
  aliases: { repeated: 'string' },
  archived: 'bool',
  changePasswordAtNextLogin: 'bool',
  creationTime: 'string',
  customSchemas: 'any',
  customerId: 'string',
  deletionTime: 'string',
  emails: 'any',
  etag: 'string',
  externalIds: 'any',
  gender: 'any',
  guestAccountInfo: 'any',
  hashFunction: 'string',
  id: 'string',
  ims: 'any',
  includeInGlobalAddressList: 'bool',
  ipWhitelisted: 'bool',
  isAdmin: 'bool',
  isDelegatedAdmin: 'bool',
  isEnforcedIn2Sv: 'bool',
  isEnrolledIn2Sv: 'bool',
  isGuestUser: 'bool',
  isMailboxSetup: 'bool',
  keywords: 'any',
  kind: 'string',
  languages: 'any',
  lastLoginTime: 'string',
  locations: 'any',
  name: {
    message: { displayName: 'string', familyName: 'string', fullName: 'string', givenName: 'string' },
  },
  nonEditableAliases: { repeated: 'string' },
  notes: 'any',
  orgUnitPath: 'string',
  organizations: 'any',
  password: 'string',
  phones: 'any',
  posixAccounts: 'any',
  primaryEmail: 'string',
  recoveryEmail: 'string',
  recoveryPhone: 'string',
  relations: 'any',
  sshPublicKeys: 'any',
  suspended: 'bool',
  suspensionReason: 'string',
  thumbnailPhotoEtag: 'string',
  thumbnailPhotoUrl: 'string',
  websites: 'any',
} as const satisfies Shape;

/** A User as a request gives it. */
export type UserBody = Message<typeof USER>;

/** The fields a request sets to null, names within the name as `name.givenName`: null clears what absence leaves. */
export function clearedFields(call: Call): ReadonlySet<string> {
  const body = jsonBody(call);
  const nulls = (fields: Readonly<Record<string, unknown>>, prefix: string) =>
    Object.entries(fields)
      .filter(([, value]) => value === null)
      .map(([name]) => `${prefix}${name}`);
  const name = body['name'];
  return new Set([...nulls(body, ''), ...(isObject(name) ? nulls(name, 'name.') : [])]);
}

/** What `fields=` may select from a user. */
export const USER_SELECTABLE: SelectableTree = Object.fromEntries(
  Object.entries(USER).map(([field, kind]) => [field, selectable(kind)]),
);

function selectable(kind: FieldKind): Selectable {
  if (kind === 'any') return 'open';
  if (typeof kind !== 'object' || !('message' in kind)) return 'leaf';
  return Object.fromEntries(Object.entries(kind.message).map(([field, below]) => [field, selectable(below)]));
}

/** What other users of the domain may see: https://developers.google.com/workspace/admin/directory/v1/guides/manage-users#retrieve_users_non_admin */
const PUBLIC_FIELDS = new Set([
  'addresses',
  'emails',
  'etag',
  'id',
  'kind',
  'locations',
  'name',
  'organizations',
  'phones',
  'primaryEmail',
  'relations',
  'websites',
]);

/** The resource as it is sent; `public` is what `viewType=domain_public` shows. */
export function userResource(
  user: UserRecord,
  tenant: Tenant,
  view: 'admin' | 'public' = 'admin',
): Readonly<Record<string, unknown>> {
  const nonEditableAliases = tenant.nonEditableAliases(user);
  const { givenName, familyName, displayName } = user.name;
  const { emails, ...profile } = user.profile;
  const whole: Record<string, unknown> = {
    kind: 'admin#directory#user',
    id: user.id,
    primaryEmail: user.primaryEmail,
    name: {
      givenName,
      familyName,
      fullName: `${givenName} ${familyName}`,
      ...(displayName === undefined ? {} : { displayName }),
    },
    isAdmin: user.isAdmin,
    isDelegatedAdmin: false,
    lastLoginTime: '1970-01-01T00:00:00.000Z',
    creationTime: user.creationTime,
    agreedToTerms: false,
    suspended: user.suspended,
    ...(user.suspensionReason === undefined ? {} : { suspensionReason: user.suspensionReason }),
    archived: user.archived,
    changePasswordAtNextLogin: user.changePasswordAtNextLogin,
    ipWhitelisted: user.ipWhitelisted,
    emails: [
      ...(Array.isArray(emails) ? emails : []),
      { address: user.primaryEmail, primary: true },
      ...[...user.aliases, ...nonEditableAliases].map((address) => ({ address })),
    ],
    ...profile,
    ...(user.aliases.length === 0 ? {} : { aliases: [...user.aliases] }),
    nonEditableAliases,
    customerId: tenant.customerId,
    orgUnitPath: tenant.pathOf(user.orgUnitId),
    isMailboxSetup: tenant.mailboxReady(user),
    isEnrolledIn2Sv: false,
    isEnforcedIn2Sv: false,
    includeInGlobalAddressList: user.includeInGlobalAddressList,
  };
  const { kind, id, ...rest } = whole;
  const resource = { kind, id, etag: etagOf(whole), ...rest };
  if (view === 'admin') return resource;
  return Object.fromEntries(Object.entries(resource).filter(([name]) => PUBLIC_FIELDS.has(name)));
}

/** A quoted entity tag that changes with the content. */
export function etagOf(content: unknown): string {
  const digest = createHash('sha256').update(JSON.stringify(content)).digest('base64url');
  return `"sw-emulator/${digest.slice(0, 27)}"`;
}

/** The address in lower case. Throws 400 when it is none, 404 when its domain is not the tenant's. */
export function checkPrimaryEmail(value: string | undefined, tenant: Tenant): string {
  const address = parseAddress(value);
  if (address === undefined) throw invalidInput('primary_user_email');
  if (!tenant.domains.includes(domainOf(address))) throw domainNotFound();
  return address;
}

/** Both names, 60 characters each at most; what is absent comes from `before`. Throws 400 `invalid`. */
export function checkName(
  name: UserBody['name'],
  cleared: ReadonlySet<string>,
  before?: UserRecord['name'],
): UserRecord['name'] {
  const part = (field: 'givenName' | 'familyName' | 'displayName') =>
    cleared.has('name') || cleared.has(`name.${field}`) ? undefined : (name?.[field] ?? before?.[field]);
  const givenName = part('givenName');
  const familyName = part('familyName');
  const displayName = part('displayName');
  if (!isName(givenName)) throw invalid('Invalid Given/Family Name: GivenName');
  if (!isName(familyName)) throw invalid('Invalid Given/Family Name: FamilyName');
  if ((displayName?.length ?? 0) > 256) throw invalidInput('displayName');
  return { givenName, familyName, ...(displayName === undefined ? {} : { displayName }) };
}

function isName(name: string | undefined): name is string {
  return name !== undefined && name.trim() !== '' && name.length <= 60;
}

/**
 * A password is looked at and thrown away: 8 to 100 ASCII characters, or a hash of the form `hashFunction` names.
 * Throws 400 `invalid`.
 */
export function checkPassword({ password = '', hashFunction }: UserBody): void {
  if (hashFunction === undefined) {
    if (!/^[\x20-\x7e]{8,100}$/.test(password)) throw invalid('Invalid Password');
    return;
  }
  const form = PASSWORD_HASHES.get(hashFunction);
  if (form === undefined) throw invalidInput('hashFunction');
  if (!form.test(password)) throw invalid('Invalid Password');
}

const PASSWORD_HASHES: ReadonlyMap<string, RegExp> = new Map([
  ['MD5', /^[0-9a-f]{32}$/i],
  ['SHA-1', /^[0-9a-f]{40}$/i],
  ['crypt', /^(?:\$[156]\$[\x21-\x7e]+|[./0-9A-Za-z]{13})$/],
]);

/** The unit with this path. Throws 400 `Invalid Input: INVALID_OU_ID`. */
export function checkOrgUnitPath(path: string | undefined, tenant: Tenant): string {
  const unit = path?.startsWith('/') === true ? tenant.unitByPath(path) : undefined;
  if (unit === undefined) throw invalidInput('INVALID_OU_ID');
  return unit.id;
}

/**
 * The kept fields after a write: absent ones stay, cleared ones go. Throws 400 for what is too large, and for what
 * the tenant does not have: custom schemas and guests.
 */
export function mergeProfile(
  body: UserBody,
  cleared: ReadonlySet<string>,
  user: UserRecord,
): Record<string, unknown> {
  const { customSchemas = {}, isGuestUser } = body;
  if (!isObject(customSchemas) || Object.keys(customSchemas).length > 0) throw invalidInput('custom_schema');
  if (isGuestUser === true) throw invalidInput('isGuestUser');
  const profile = { ...user.profile };
  for (const [name, limitBytes] of Object.entries(PROFILE_LIMIT_BYTES)) {
    const given = body[name as ProfileField];
    const value = name === 'emails' && given !== undefined ? ownEmails(given, user) : given;
    const size = value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value));
    if (limitBytes !== undefined && size > limitBytes) throw invalidInput(name);
    const empty = value === '' || (Array.isArray(value) && value.length === 0);
    if (cleared.has(name) || empty) delete profile[name];
    else if (value !== undefined) profile[name] = value;
  }
  const { recoveryEmail, recoveryPhone } = profile;
  if (typeof recoveryEmail === 'string' && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(recoveryEmail)) {
    throw invalidInput('recovery_email');
  }
  // E.164
  if (typeof recoveryPhone === 'string' && !/^\+[1-9]\d{6,14}$/.test(recoveryPhone)) {
    throw invalidInput('recovery_phone');
  }
  return profile;
}

/** `emails` also repeats the account's own addresses; those are not the field's to keep. */
function ownEmails(value: unknown, user: UserRecord): readonly unknown[] {
  if (!Array.isArray(value)) throw invalidInput('emails');
  const own = new Set(addressesOf(user));
  return value.filter((entry: unknown) => {
    const address = isObject(entry) ? String(entry['address'] ?? '').toLowerCase() : '';
    return address !== '' && !own.has(address) && !address.endsWith('.test-google-a.com');
  });
}
