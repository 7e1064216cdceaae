/** Watching and disturbing the calls that code under test makes to its ports. */

export interface PortCall {
  readonly port: string;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** Stands around every call: performs it, or does not, or answers something else. */
export type Around = (call: PortCall, perform: () => Promise<unknown>) => Promise<unknown>;

/** Methods that answer item by item; what stands around them stands before the first item. */
const STREAMS = new Set([
  'usersUnder',
  'groups',
  'groupMembers',
  'seenBySweep',
  'membersOfSweep',
  'auditHeads',
]);

async function* stream(
  around: Around,
  call: PortCall,
  items: () => AsyncIterable<unknown>,
): AsyncGenerator<unknown> {
  await around(call, async () => undefined);
  yield* items();
}

/** The same port with `around` standing around each of its asynchronous methods. */
export function surround<T extends object>(port: string, target: T, around: Around): T {
  return new Proxy(target, {
    get: (inner, key) => {
      const value: unknown = Reflect.get(inner, key);
      if (typeof value !== 'function' || typeof key !== 'string') return value;
      if (STREAMS.has(key)) {
        return (...args: readonly unknown[]) =>
          stream(around, { port, method: key, args }, () => Reflect.apply(value, inner, args));
      }
      return (...args: readonly unknown[]) =>
        around({ port, method: key, args }, async () => await Reflect.apply(value, inner, args));
    },
  });
}

/** What a process throws when it ends in the middle. No error of the product's, so nothing may handle it. */
export class ProcessDied extends Error {
  override readonly name = 'ProcessDied';
}

/** Where a process ends: around its n-th call, counted from 1. */
export interface Death {
  readonly call: number;
  readonly moment: 'before' | 'after';
}

/** Numbers the calls of one process; after its death no call does anything any more. */
export function mortal(death?: Death): { readonly around: Around; readonly calls: readonly PortCall[] } {
  const calls: PortCall[] = [];
  let dead = false;
  const die = (): never => {
    dead = true;
    throw new ProcessDied(`died ${death?.moment} call ${death?.call}`);
  };
  return {
    calls,
    around: async (call, perform) => {
      if (dead) throw new ProcessDied('dead already');
      calls.push(call);
      const mine = calls.length === death?.call;
      if (mine && death.moment === 'before') die();
      const answer = await perform();
      if (mine || dead) die();
      return answer;
    },
  };
}
