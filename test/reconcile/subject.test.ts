import { X509Certificate } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  createWorld,
  KEY_SERVICE_URL,
  type Materials,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { policyOf, policyRule } from '../support/policy.ts';
import { look } from './outcome.ts';

const SPONSOR = {
  country: 'DE',
  organization: 'Acme GmbH',
  organizationIdentifier: 'NTRDE-HRB123456',
  givenName: '{givenName}',
  surname: '{familyName}',
  commonName: '{givenName} {familyName}',
};

let materials: Materials;
let world: World;
beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials, { ledger: 'memory' });
});
afterEach(() => world.close());

const lookWith = (subject?: Readonly<Record<string, string>>) =>
  look(
    {
      ...world.deps,
      policy: policyOf([
        policyRule({
          modulusBits: 2048,
          keyServiceUrl: KEY_SERVICE_URL,
          ...(subject === undefined ? {} : { subject }),
        }),
      ]),
    },
    '1',
  );
const leaves = async () => (await world.ledger.readUser('1')).leaves;
const certificate = async () => {
  const { serialHex } = (await leaves()).at(-1) ?? expect.unreachable();
  const { leafDer } = (await world.ledger.readLeafIntent(serialHex)) ?? expect.unreachable();
  return new X509Certificate(leafDer ?? expect.unreachable());
};

describe('the subject of a user’s certificate', () => {
  it('is the address alone where the rule has no template', async () => {
    world.directory.put({ userId: '1', givenName: 'Ana', familyName: 'Bär' });
    await lookWith();
    const leaf = await certificate();
    expect(leaf.subject).toBe(`CN=${(await leaves())[0]?.addresses[0]}`);
  });

  it('is made of the rule’s template and the directory’s names, under the profile that says so', async () => {
    world.directory.put({ userId: '1', givenName: 'Ana', familyName: 'Bär' });
    await lookWith(SPONSOR);
    expect((await certificate()).subject.split('\n').toSorted()).toEqual(
      [
        'C=DE',
        'CN=Ana Bär',
        'GN=Ana',
        'O=Acme GmbH',
        'SN=Bär',
        'organizationIdentifier=NTRDE-HRB123456',
      ].toSorted(),
    );
    const { serialHex } = (await leaves())[0] ?? expect.unreachable();
    expect((await world.ledger.readLeafIntent(serialHex))?.profile).toBe('dual-use-rsa-sponsor/1');
  });

  it('that lacks a name is not issued, and the user is blocked with the sentence that says what to fill in', async () => {
    world.directory.put({ userId: '1', givenName: 'Ana' });
    await lookWith(SPONSOR);
    expect(await leaves()).toEqual([]);
    expect((await world.ledger.readUser('1')).user).toMatchObject({
      state: 'blocked',
      reason: expect.stringContaining('The directory has no familyName for'),
    });
  });

  it('stays as it is until the next certificate when the template or the name changes', async () => {
    world.directory.put({ userId: '1', givenName: 'Ana', familyName: 'Bär' });
    await lookWith();
    await lookWith(SPONSOR);
    expect(await leaves()).toHaveLength(1);
  });
});
