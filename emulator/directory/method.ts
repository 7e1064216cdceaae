/** What all Directory methods do before and after their own work: parameters, rights, quota, partial responses. */
import type { Caller } from '../core/access-tokens.ts';
import { GoogleError } from '../core/google-error.ts';
import { checkQuery } from '../core/message.ts';
import { type Answer, type Call, ok, type Route } from '../core/route.ts';
import type { Access, Right } from './access.ts';
import { applyFieldMask, parseFieldMask, type SelectableTree } from './field-mask.ts';
import type { Quota } from './quota.ts';
import { invalidParameter } from './refusals.ts';

/** Full scope addresses begin with this. */
const SCOPE_ROOT = 'https://www.googleapis.com/auth/';

export interface DirectoryMethod {
  readonly id: string;
  readonly verb: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  /** Without the common prefix: `admin.directory.user`. */
  readonly scopes: readonly string[];
  readonly right: Right | ((call: Call) => Right);
  /** Query parameters of its own. */
  readonly parameters?: readonly string[];
  /** What the answer can hold; absent for methods that answer 204. */
  readonly answers?: SelectableTree;
  /** The JSON to send with 200; undefined for 204. */
  readonly handle: (call: Call, caller: Caller) => unknown;
}

/** Turns a method into a route. */
export function directoryRoute(method: DirectoryMethod, access: Access, quota: Quota): Route {
  return {
    id: method.id,
    verb: method.verb,
    path: method.path,
    scopes: method.scopes.map((scope) => `${SCOPE_ROOT}${scope}`),
    handle: (call): Answer => {
      const caller = requireCaller(call);
      quota.request(caller.email);
      checkQuery(call, method.parameters);
      const alt = call.query.get('alt') ?? 'json';
      if (alt !== 'json')
        throw invalidParameter('alt', `Invalid string value: '${alt}'. Allowed values: [json]`);
      access.require(caller, typeof method.right === 'function' ? method.right(call) : method.right);
      const fields = call.query.get('fields');
      const mask =
        fields === null || method.answers === undefined ? undefined : parseFieldMask(fields, method.answers);
      const answer = method.handle(call, caller);
      if (answer === undefined) return { status: 204 };
      return ok(mask === undefined ? answer : applyFieldMask(answer, mask));
    },
  };
}

/** One of the listed values, or the first of them when the parameter is absent. Throws 400 `invalidParameter`. */
export function choice<T extends string>(call: Call, name: string, values: readonly [T, ...T[]]): T {
  return optionalChoice(call, name, values) ?? values[0];
}

/** As `choice`, undefined when the parameter is absent. */
export function optionalChoice<T extends string>(
  call: Call,
  name: string,
  values: readonly T[],
): T | undefined {
  const given = call.query.get(name);
  if (given === null) return undefined;
  const found = values.find((value) => value === given);
  if (found === undefined) {
    throw invalidParameter(name, `Invalid string value: '${given}'. Allowed values: [${values.join(', ')}]`);
  }
  return found;
}

/** `true` or `false`, false when absent. Throws 400 `invalidParameter`. */
export function booleanParameter(call: Call, name: string): boolean {
  return choice(call, name, ['false', 'true']) === 'true';
}

export function integerParameter(
  call: Call,
  name: string,
  bounds: { readonly min: number; readonly max: number; readonly absent: number },
): number {
  const given = call.query.get(name);
  if (given === null) return bounds.absent;
  if (!/^-?\d+$/.test(given)) {
    throw invalidParameter(name, `Invalid value '${given}'. Values must be integers.`);
  }
  const value = Number(given);
  if (value < bounds.min || value > bounds.max) {
    throw invalidParameter(
      name,
      `Invalid value '${given}'. Values must be within the range: [${bounds.min}, ${bounds.max}]`,
    );
  }
  return value;
}

function requireCaller(call: Call): Caller {
  if (call.caller === undefined) throw new GoogleError(401, 'required', 'Login Required');
  return call.caller;
}
