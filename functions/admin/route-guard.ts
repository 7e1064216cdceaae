/** The admin API's paths about held departures, the stop and single key pairs. */
import { permanent } from '../../shared/errors.ts';
import { type HttpAnswer, type HttpCall, parseJsonObject } from '../wire/http.ts';
import { decideOnHeld, type HeldDeps, readHeldSet, readHeldSets } from './held.ts';
import {
  cancelKeypairRequest,
  confirmKeypairRequest,
  type KeypairRequestDeps,
  readKeypairRequest,
  readKeypairRequests,
  requestKeypairChange,
} from './keypair-requests.ts';
import { readStop, resumeEverything, type StopDeps, stopEverything } from './stop.ts';

export interface GuardRouteDeps
  extends Omit<HeldDeps, 'ledger' | 'bus'>,
    Omit<StopDeps, 'ledger'>,
    Omit<KeypairRequestDeps, 'ledger' | 'bus'> {
  readonly ledger: HeldDeps['ledger'] & StopDeps['ledger'] & KeypairRequestDeps['ledger'];
  readonly bus: HeldDeps['bus'] & KeypairRequestDeps['bus'];
}

type Path = readonly [resource: string | undefined, id: string | undefined, action: string | undefined];

/** Undefined for a path that is none of these. */
export async function routeGuard(
  deps: GuardRouteDeps,
  admin: string,
  call: HttpCall,
  [resource, id, action]: Path,
): Promise<HttpAnswer | undefined> {
  const route = `${call.method} ${[resource, id && 'ID', action].filter(Boolean).join('/')}`;
  switch (route) {
    case 'GET held':
      return await readHeldSets(deps, call.query);
    case 'GET held/ID':
      return await readHeldSet(deps, id ?? '');
    case 'POST held/ID/approve':
      return await decideOnHeld(deps, admin, id ?? '', 'approved');
    case 'POST held/ID/dismiss':
      return await decideOnHeld(deps, admin, id ?? '', 'dismissed');
    case 'GET stop':
      return await readStop(deps);
    case 'POST stop':
      return await stopEverything(deps, admin, parseJsonObject(call.body));
    case 'POST resume':
      return await resumeEverything(deps, admin);
    case 'GET keypair-requests':
      return await readKeypairRequests(deps, call.query);
    case 'POST keypair-requests':
      return await requestKeypairChange(deps, admin, parseJsonObject(call.body));
    case 'GET keypair-requests/ID':
      return await readKeypairRequest(deps, id ?? '');
    case 'POST keypair-requests/ID/confirm':
      return await confirmKeypairRequest(deps, admin, id ?? '', parseJsonObject(call.body));
    case 'POST keypair-requests/ID/cancel':
      return await cancelKeypairRequest(deps, admin, id ?? '');
    default:
      return refuseMethod(call, [resource, id, action]);
  }
}

const TAKES: Readonly<Record<string, string>> = {
  held: 'GET',
  'held/ID': 'GET',
  'held/ID/approve': 'POST',
  'held/ID/dismiss': 'POST',
  stop: 'GET and POST',
  resume: 'POST',
  'keypair-requests': 'GET and POST',
  'keypair-requests/ID': 'GET',
  'keypair-requests/ID/confirm': 'POST',
  'keypair-requests/ID/cancel': 'POST',
};

function refuseMethod(call: HttpCall, [resource, id, action]: Path): undefined {
  const methods = TAKES[[resource, id && 'ID', action].filter(Boolean).join('/')];
  if (methods !== undefined) throw permanent('method-not-allowed', `${call.path} takes ${methods}.`);
  return undefined;
}
