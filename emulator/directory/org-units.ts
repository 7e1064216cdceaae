/**
 * `orgunits.*`: the tree that settings are inherited along.
 * https://developers.google.com/workspace/admin/directory/v1/guides/manage-org-units
 */
import type { Caller } from '../core/access-tokens.ts';
import { GoogleError } from '../core/google-error.ts';
import { type Message, readMessage, type Shape } from '../core/message.ts';
import type { Call } from '../core/route.ts';
import type { AuditEvent } from './audit.ts';
import type { Changes } from './changes.ts';
import { choice } from './method.ts';
import type { Quota } from './quota.ts';
import type { OrgUnitRecord } from './records.ts';
import { badRequest, conditionNotMet, invalid, invalidInput } from './refusals.ts';
import { newUnitId, sameName, type Tenant } from './tenant.ts';
import { etagOf } from './user-fields.ts';

/** Levels below the root. */
const MAX_LEVELS = 35;

const ORG_UNIT = {
  blockInheritance: 'bool',
  description: 'string',
  etag: 'string',
  kind: 'string',
  name: 'string',
  orgUnitId: 'string',
  orgUnitPath: 'string',
  parentOrgUnitId: 'string',
  parentOrgUnitPath: 'string',
} as const satisfies Shape;

type OrgUnitBody = Message<typeof ORG_UNIT>;

export const ORG_UNIT_SELECTABLE = {
  blockInheritance: 'leaf',
  description: 'leaf',
  etag: 'leaf',
  kind: 'leaf',
  name: 'leaf',
  orgUnitId: 'leaf',
  orgUnitPath: 'leaf',
  parentOrgUnitId: 'leaf',
  parentOrgUnitPath: 'leaf',
} as const;

export class OrgUnits {
  readonly #tenant: Tenant;
  readonly #changes: Changes;
  readonly #quota: Quota;

  constructor(tenant: Tenant, changes: Changes, quota: Quota) {
    this.#tenant = tenant;
    this.#changes = changes;
    this.#quota = quota;
  }

  list(call: Call): unknown {
    this.#checkCustomer(call);
    const type = choice(call, 'type', ['children', 'all', 'allIncludingParent']);
    const key = call.query.get('orgUnitPath') ?? '';
    const parent = key === '' ? this.#tenant.root() : this.#find(key);
    const below = this.#tenant.subtree(parent.id);
    const units =
      type === 'children' ? this.#tenant.children(parent.id) : type === 'all' ? below.slice(1) : below;
    const organizationUnits = units.map((unit) => this.#resource(unit));
    return {
      kind: 'admin#directory#orgUnits',
      etag: etagOf(organizationUnits),
      ...(organizationUnits.length === 0 ? {} : { organizationUnits }),
    };
  }

  get(call: Call): unknown {
    this.#checkCustomer(call);
    return this.#resource(this.#find(call.params['orgUnitPath'] ?? ''));
  }

  insert(call: Call, caller: Caller): unknown {
    this.#checkCustomer(call);
    const body = readMessage(call, ORG_UNIT);
    const name = checkUnitName(body.name);
    const parent = this.#parentOf(body);
    if (parent === undefined) throw badRequest('Required parameter: parentOrgUnitPath or parentOrgUnitId');
    this.#checkPlace(parent, name, undefined, 1);
    this.#quota.unitWrite();
    const unit = addUnit(this.#tenant, parent, name, body.description ?? '');
    this.#changes.unit(caller, [unitEvent('CREATE_ORG_UNIT', this.#tenant.pathOf(unit.id))]);
    return this.#resource(unit);
  }

  /** PUT and PATCH alike: what is absent stays. Path and id are derived and only checked against each other. */
  update(call: Call, caller: Caller): unknown {
    this.#checkCustomer(call);
    const tenant = this.#tenant;
    const unit = this.#find(call.params['orgUnitPath'] ?? '');
    const body = readMessage(call, ORG_UNIT);
    if (unit.parentId === undefined) throw invalid('Invalid Ou Id');
    if (body.orgUnitId !== undefined && body.orgUnitId !== unit.id) throw inconsistent(body.orgUnitId);
    const before = tenant.pathOf(unit.id);
    const name = body.name === undefined ? unit.name : checkUnitName(body.name);
    const parent = this.#parentOf(body) ?? tenant.unitById(unit.parentId) ?? tenant.root();
    const subtree = tenant.subtree(unit.id);
    if (subtree.some((entry) => entry.id === parent.id)) throw invalid('Invalid Parent Orgunit Id');
    const levels =
      Math.max(...subtree.map((entry) => tenant.depthOf(entry.id))) - tenant.depthOf(unit.id) + 1;
    this.#checkPlace(parent, name, unit.id, levels);
    this.#quota.unitWrite();
    const description = body.description ?? unit.description;
    const events: AuditEvent[] = [];
    if (parent.id !== unit.parentId) {
      events.push(unitEvent('MOVE_ORG_UNIT', before, { NEW_VALUE: tenant.pathOf(parent.id) }));
    }
    if (name !== unit.name) events.push(unitEvent('EDIT_ORG_UNIT_NAME', before, { NEW_VALUE: name }));
    if (description !== unit.description) events.push(unitEvent('EDIT_ORG_UNIT_DESCRIPTION', before));
    Object.assign(unit, { name, description, parentId: parent.id });
    tenant.changed();
    if (events.length > 0) this.#changes.unit(caller, events);
    return this.#resource(unit);
  }

  /** Refused with 412 while anybody or anything is in it. */
  delete(call: Call, caller: Caller): undefined {
    this.#checkCustomer(call);
    const tenant = this.#tenant;
    const unit = this.#find(call.params['orgUnitPath'] ?? '');
    if (unit.parentId === undefined) throw invalid('Invalid Ou Id');
    const inhabited = tenant.users().some((user) => user.orgUnitId === unit.id);
    if (inhabited || tenant.children(unit.id).length > 0) {
      throw conditionNotMet(
        'The organizational unit has users or organizational units in it; move them first.',
      );
    }
    const path = tenant.pathOf(unit.id);
    delete tenant.data.orgUnits[unit.id];
    tenant.changed();
    this.#changes.unit(caller, [unitEvent('REMOVE_ORG_UNIT', path)]);
    return undefined;
  }

  #checkCustomer(call: Call): void {
    const customer = call.params['customerId'];
    if (customer !== 'my_customer' && customer !== this.#tenant.customerId)
      throw invalid('Invalid Customer Id');
  }

  /** By path, with or without the leading slash, or by `id:…`. Throws 404. */
  #find(key: string): OrgUnitRecord {
    const unit = key.startsWith('id:') ? this.#tenant.unitById(key) : this.#tenant.unitByPath(key);
    if (unit === undefined) throw new GoogleError(404, 'notFound', 'Org unit not found');
    return unit;
  }

  /** The parent a body names; undefined when it names none. Throws 400 for one that is unknown or names two. */
  #parentOf(body: OrgUnitBody): OrgUnitRecord | undefined {
    const { parentOrgUnitId: id, parentOrgUnitPath: path } = body;
    const byId = id === undefined ? undefined : this.#tenant.unitById(id);
    const byPath = path?.startsWith('/') === true ? this.#tenant.unitByPath(path) : undefined;
    if ((id !== undefined && byId === undefined) || (path !== undefined && byPath === undefined)) {
      throw invalid('Invalid Parent Orgunit Id');
    }
    if (byId !== undefined && byPath !== undefined && byId.id !== byPath.id) throw inconsistent(byId.id);
    return byId ?? byPath;
  }

  /** A name is free among its siblings whatever its case, and `levels` levels fit below the parent. */
  #checkPlace(parent: OrgUnitRecord, name: string, self: string | undefined, levels: number): void {
    const taken = this.#tenant
      .children(parent.id)
      .some((unit) => unit.id !== self && sameName(unit.name, name));
    // Google calls a name that is taken an invalid unit id.
    if (taken) throw invalid('Invalid Ou Id');
    if (this.#tenant.depthOf(parent.id) + levels > MAX_LEVELS) throw invalid('Invalid Parent Orgunit Id');
  }

  #resource(unit: OrgUnitRecord): unknown {
    const tenant = this.#tenant;
    const content = {
      name: unit.parentId === undefined ? tenant.domains[0] : unit.name,
      ...(unit.description === '' ? {} : { description: unit.description }),
      orgUnitPath: tenant.pathOf(unit.id),
      orgUnitId: unit.id,
      ...(unit.parentId === undefined
        ? {}
        : { parentOrgUnitPath: tenant.pathOf(unit.parentId), parentOrgUnitId: unit.parentId }),
    };
    return { kind: 'admin#directory#orgUnit', etag: etagOf(content), ...content };
  }
}

/** Puts a unit below a parent. */
export function addUnit(
  tenant: Tenant,
  parent: OrgUnitRecord,
  name: string,
  description: string,
): OrgUnitRecord {
  const unit: OrgUnitRecord = { id: newUnitId(), name, description, parentId: parent.id };
  tenant.data.orgUnits[unit.id] = unit;
  tenant.changed();
  return unit;
}

function unitEvent(
  name: string,
  path: string,
  parameters: Readonly<Record<string, string>> = {},
): AuditEvent {
  return { type: 'ORG_SETTINGS', name, parameters: { ORG_UNIT_NAME: path, ...parameters } };
}

function checkUnitName(value = ''): string {
  if (value.trim() === '') throw badRequest('Required parameter: name');
  const name = value.trim();
  if (name.includes('/')) throw invalidInput('name');
  return name;
}

const inconsistent = (id: string) =>
  invalidInput(`Inconsistent Orgunit id and path in request - ${id.replace(/^id:/, '')}`);
