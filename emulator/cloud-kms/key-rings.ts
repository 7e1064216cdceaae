/** Key rings and policies: https://docs.cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings */
import { failedPrecondition } from '../core/google-error.ts';
import { readMessage } from '../core/message.ts';
import type { Call, Route } from '../core/route.ts';
import { checkBinding, type Permission } from './access.ts';
import { idFrom, KEY, LOCATION, method, PAGING, pageOf, RING } from './method.ts';
import type { Policy } from './records.ts';
import { ringResource } from './resources.ts';
import { newPolicyEtag, notEmulated, type Rings } from './rings.ts';

const POLICY_REQUEST = {
  policy: {
    message: {
      version: 'int32',
      etag: 'string',
      bindings: {
        repeated: {
          message: { role: 'string', members: { repeated: 'string' }, condition: 'any' },
        },
      },
    },
  },
  updateMask: 'string',
} as const;

export function ringRoutes(rings: Rings): readonly Route[] {
  return [
    method('create', 'POST', `${LOCATION}/keyRings`, (call) => createRing(rings, call), ['keyRingId']),
    method('list', 'GET', `${LOCATION}/keyRings`, (call) => listRings(rings, call), PAGING),
    method('get', 'GET', RING, (call) => ringResource(rings, rings.ring(call, 'cloudkms.keyRings.get'))),
    ...policyRoutes('', RING, (call, action) => rings.ring(call, `cloudkms.keyRings.${action}`), rings),
    ...policyRoutes(
      'cryptoKeys.',
      KEY,
      (call, action) => rings.key(call, `cloudkms.cryptoKeys.${action}`).key,
      rings,
    ),
  ];
}

function createRing(rings: Rings, call: Call): unknown {
  authorizeLocation(rings, call, 'cloudkms.keyRings.create');
  readMessage(call, {});
  return ringResource(rings, rings.createRing(call.params['location'] ?? '', idFrom(call, 'keyRingId')));
}

function listRings(rings: Rings, call: Call): unknown {
  authorizeLocation(rings, call, 'cloudkms.keyRings.list');
  const found = rings.ringsIn(call.params['location'] ?? '').map((ring) => ringResource(rings, ring));
  return pageOf(call, 'keyRings', found);
}

function authorizeLocation(rings: Rings, call: Call, permission: Permission): void {
  const name = `projects/${call.params['project']}/locations/${call.params['location']}`;
  rings.authorize(call, permission, name, []);
}

function policyRoutes(
  id: string,
  path: string,
  find: (call: Call, action: 'getIamPolicy' | 'setIamPolicy') => { policy: Policy },
  rings: Rings,
): readonly Route[] {
  return [
    method(
      `${id}getIamPolicy`,
      'GET',
      `${path}\\:getIamPolicy`,
      (call) => ({ version: 1, ...find(call, 'getIamPolicy').policy }),
      ['options.requestedPolicyVersion'],
    ),
    method(`${id}setIamPolicy`, 'POST', `${path}\\:setIamPolicy`, (call) => {
      const holder = find(call, 'setIamPolicy');
      const { policy } = readMessage(call, POLICY_REQUEST);
      if (policy?.etag !== undefined && policy.etag !== holder.policy.etag)
        throw failedPrecondition('The policy was changed in between: read it again.');
      const bindings = (policy?.bindings ?? []).map((binding) => {
        if (binding.condition !== undefined) throw notEmulated('conditions in policies');
        return { role: binding.role ?? '', members: binding.members ?? [] };
      });
      for (const binding of bindings) checkBinding(binding);
      holder.policy = { bindings, etag: newPolicyEtag() };
      rings.changed();
      return { version: 1, ...holder.policy };
    }),
  ];
}
