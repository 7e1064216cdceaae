import { randomBytes } from 'node:crypto';
import { SecretManagerServiceClient } from '@google-cloud/secret-manager';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gaxEndpoint } from '../../../shared/adapters/google/endpoints.ts';
import { secretManager } from '../../../shared/adapters/secret-manager/secret-manager.ts';
import { type Company, openCompany, PROJECT, STRANGER } from '../emulator-company.ts';
import { failureOf } from '../world.ts';

const byName = (left: { name: string }, right: { name: string }) => (left.name < right.name ? -1 : 1);

describe('secrets against the emulator', () => {
  let company: Company;
  const secretsAs = (who?: string) =>
    secretManager({ own: company.own(who), endpoints: company.endpoints, retry: company.retry });
  const secret = (name: string) => `projects/${PROJECT}/secrets/${name}`;

  beforeAll(async () => {
    company = await openCompany();
  });
  beforeEach(() => company.faults.apply({ reset: true }));
  afterAll(() => company.close());

  it('keeps every version of a secret it had to make first, byte for byte', async () => {
    const secrets = secretsAs();
    const [one, two] = [randomBytes(2048), randomBytes(65_536)];
    const first = await secrets.add(secret('issuing-ca'), one);
    const second = await secrets.add(secret('issuing-ca'), two);
    expect([first, second].map((name) => name.split('/').at(-1))).toEqual(['1', '2']);
    expect(Buffer.from(await secrets.read(first)).equals(one)).toBe(true);
    expect(Buffer.from(await secrets.read(second)).equals(two)).toBe(true);
    expect(Buffer.from(await secrets.read(`${secret('issuing-ca')}/versions/1`)).equals(one)).toBe(true);
  });

  it('lists every version of a secret with its state and without its payload, and none of one that is missing', async () => {
    const secrets = secretsAs();
    expect(await secrets.listVersions(secret('listed'))).toEqual([]);
    const names = [];
    for (const payload of ['one', 'two', 'three'])
      names.push(await secrets.add(secret('listed'), Buffer.from(payload)));
    const administrator = new SecretManagerServiceClient({
      auth: company.own().auth,
      ...gaxEndpoint(company.endpoints),
    });
    await administrator.destroySecretVersion({ name: names[1] ?? '' });
    await administrator.disableSecretVersion({ name: names[2] ?? '' });
    await administrator.close();
    expect((await secrets.listVersions(secret('listed'))).toSorted(byName)).toEqual([
      { name: names[0], state: 'ENABLED' },
      { name: names[1], state: 'DESTROYED' },
      { name: names[2], state: 'DISABLED' },
    ]);
    const refused = await failureOf(secretsAs(STRANGER).listVersions(secret('listed')));
    expect(refused).toMatchObject({ kind: 'permanent', code: 'secrets-unavailable' });
    expect(refused.message).toContain('roles/secretmanager.viewer');
  });

  it('tells missing from disabled from destroyed from forbidden', async () => {
    const secrets = secretsAs();
    const name = await secrets.add(secret('states'), Buffer.from('payload'));
    expect(await failureOf(secrets.read(`${secret('nothing')}/versions/1`))).toMatchObject({
      code: 'secret-missing',
    });
    expect(await failureOf(secrets.read(`${secret('states')}/versions/7`))).toMatchObject({
      code: 'secret-missing',
    });
    const forbidden = await failureOf(secretsAs(STRANGER).read(name));
    expect(forbidden).toMatchObject({ kind: 'permanent', code: 'secret-unreadable' });
    expect(forbidden.message).toContain('roles/secretmanager.secretAccessor');
    const administrator = new SecretManagerServiceClient({
      auth: company.own().auth,
      ...gaxEndpoint(company.endpoints),
    });
    await administrator.disableSecretVersion({ name });
    expect(await failureOf(secrets.read(name))).toMatchObject({
      kind: 'permanent',
      code: 'secret-unreadable',
    });
    await administrator.destroySecretVersion({ name });
    expect(await failureOf(secrets.read(name))).toMatchObject({
      kind: 'permanent',
      code: 'secret-unreadable',
    });
    await administrator.close();
  });

  it('gets through throttling and a lost answer when it reads', async () => {
    const secrets = secretsAs();
    const name = await secrets.add(secret('busy'), Buffer.from('payload'));
    company.faults.apply({
      calls: [
        { method: 'secretmanager.projects.secrets.versions.access', nth: [1], status: 429 },
        { method: 'secretmanager.projects.secrets.versions.access', nth: [2], status: 503 },
        { method: 'secretmanager.projects.secrets.versions.access', nth: [3], cut: 'after' },
      ],
    });
    expect(Buffer.from(await secrets.read(name)).toString()).toBe('payload');
  });
});
