import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAdminConsole } from '../../../emulator/admin-console/index.ts';
import { EmulatorState } from '../../../emulator/core/state.ts';
import { createGmail } from '../../../emulator/gmail/index.ts';
import { keyPair, type Refusal, refusalOf, SETTINGS_BASIC, Tenant } from './tenant.ts';

const ANA = 'ana@acme.example';
const DAY_MS = 86_400_000;
const READ_ONLY = [
  'https://mail.google.com/',
  'https://www.googleapis.com/auth/gmail.modify',
  'https://www.googleapis.com/auth/gmail.readonly',
];
let tenant: Tenant;
let anaId: string;

beforeAll(async () => {
  tenant = await Tenant.open();
  anaId = tenant.accounts.add(ANA).id;
});
afterAll(() => tenant.close());

const list = (email: string, userId = 'me', scopes?: readonly string[]) =>
  tenant.client(email, scopes).users.settings.cse.keypairs.list({ userId });
const NO_MAIL: Refusal = {
  code: 400,
  status: 'FAILED_PRECONDITION',
  reason: 'failedPrecondition',
  message: 'Mail service not enabled',
};

describe('the CSE methods, by their caller,', () => {
  it('answer the user of the token, named me or by address in any case', async () => {
    for (const userId of ['me', ANA, 'ANA@Acme.Example']) {
      expect((await list(ANA, userId)).status).toBe(200);
    }
  });

  it('refuse the mailbox of somebody else', async () => {
    tenant.accounts.add('bob@acme.example');
    expect(await refusalOf(list(ANA, 'bob@acme.example'))).toEqual({
      code: 403,
      status: 'PERMISSION_DENIED',
      reason: 'forbidden',
      message: `Delegation denied for ${ANA}`,
    } satisfies Refusal);
  });

  it('refuse a service account that speaks for no user', async () => {
    const token = tenant.world.tokenOf({
      kind: 'service-account',
      email: 'sealwright-gmail@acme-sealwright.iam.gserviceaccount.com',
      scopes: [SETTINGS_BASIC],
    });
    const call = tenant.clientWith(token).users.settings.cse.keypairs.list({ userId: ANA });
    expect(await refusalOf(call)).toMatchObject({
      code: 400,
      status: 'FAILED_PRECONDITION',
      message: 'Precondition check failed.',
    });
  });

  it('refuse a token that nobody minted', async () => {
    const call = tenant.clientWith('ya29.invented').users.settings.cse.keypairs.list({ userId: 'me' });
    expect(await refusalOf(call)).toMatchObject({ code: 401, status: 'UNAUTHENTICATED' });
  });
});

describe('the CSE methods, by the scopes of the token,', () => {
  it('let reading scopes read', async () => {
    for (const scope of [...READ_ONLY, SETTINGS_BASIC]) {
      expect((await list(ANA, 'me', [scope])).status).toBe(200);
    }
  });

  it('let reading scopes change no key pair', async () => {
    const { keypairs } = tenant.client(ANA, READ_ONLY).users.settings.cse;
    const one = { userId: 'me', keyPairId: 'ANe1Bm' };
    const refusals = await Promise.all(
      [
        keypairs.create({ userId: 'me', requestBody: {} }),
        keypairs.enable(one),
        keypairs.disable(one),
        keypairs.obliterate(one),
      ].map(refusalOf),
    );
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ code: 403, reason: 'insufficientPermissions' });
    }
  });

  it('let reading scopes change no identity', async () => {
    const { identities } = tenant.client(ANA, READ_ONLY).users.settings.cse;
    const refusals = await Promise.all(
      [
        identities.create({ userId: 'me', requestBody: {} }),
        identities.patch({ userId: 'me', emailAddress: ANA, requestBody: {} }),
        identities.delete({ userId: 'me', cseEmailAddress: ANA }),
      ].map(refusalOf),
    );
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ code: 403, reason: 'insufficientPermissions' });
    }
  });

  it('let a scope of another API do nothing', async () => {
    const scopes = ['https://www.googleapis.com/auth/admin.directory.user.readonly'];
    expect((await refusalOf(list(ANA, 'me', scopes))).reason).toBe('insufficientPermissions');
  });
});

describe('the CSE methods, by the state of the account,', () => {
  it.each([
    ['suspended', { suspended: true }],
    ['archived', { archived: true }],
    ['without a mailbox yet', { mailboxReady: false }],
  ])('refuse one that is %s', async (name, fields) => {
    const email = `${name.replaceAll(' ', '-')}@acme.example`;
    tenant.accounts.add(email, fields);
    expect(await refusalOf(list(email))).toEqual(NO_MAIL);
  });

  it('refuse one that is not there', async () => {
    expect(await refusalOf(list('nobody@acme.example'))).toEqual(NO_MAIL);
  });

  it('refuse one without client-side encryption, and take it when it is switched on', async () => {
    tenant.accounts.add('carl@acme.example', { orgUnitPath: '/Contractors' });
    tenant.adminConsole.switchCse({ orgUnitPath: '/Contractors' }, false);
    const refusal = await refusalOf(list('carl@acme.example'));
    expect(refusal).toMatchObject({
      code: 403,
      status: 'PERMISSION_DENIED',
      reason: 'permissionDenied',
    });
    tenant.adminConsole.switchCse({ orgUnitPath: '/Contractors' }, true);
    expect((await list('carl@acme.example')).status).toBe(200);
  });

  it('refuse one whose encryption has been switched on but has not taken effect', async () => {
    tenant.accounts.add('cleo@acme.example', { orgUnitPath: '/Late' });
    tenant.adminConsole.switchCse({ orgUnitPath: '/Late' }, false);
    tenant.adminConsole.switchCse({ orgUnitPath: '/Late' }, true, 600_000);
    expect((await refusalOf(list('cleo@acme.example'))).status).toBe('PERMISSION_DENIED');
    tenant.world.clock.advance(600_000);
    expect((await list('cleo@acme.example')).status).toBe(200);
  });

  it('refuse one without a licence', async () => {
    const { id } = tenant.accounts.add('dora@acme.example');
    tenant.adminConsole.setLicence(id, false);
    expect((await refusalOf(list('dora@acme.example'))).status).toBe('PERMISSION_DENIED');
    tenant.adminConsole.setLicence(id, true);
    expect((await list('dora@acme.example')).status).toBe(200);
  });
});

describe('a deleted account', () => {
  it('gets its key pairs back when it is undeleted within 20 days, and not later', async () => {
    const own = await Tenant.open();
    try {
      const { id } = own.accounts.add(ANA);
      const keyPairId = await own.upload(ANA);
      const ids = async () =>
        (await own.client(ANA).users.settings.cse.keypairs.list({ userId: 'me' })).data.cseKeyPairs?.map(
          (pair) => pair.keyPairId,
        );
      own.accounts.delete(id);
      expect(await refusalOf(ids())).toEqual(NO_MAIL);
      own.world.clock.advance(19 * DAY_MS);
      own.accounts.undelete(id);
      expect(await ids()).toEqual([keyPairId]);
      own.accounts.delete(id);
      own.world.clock.advance(20 * DAY_MS + 1);
      own.accounts.undelete(id);
      expect(await ids()).toBeUndefined();
    } finally {
      await own.close();
    }
  });

  it('leaves nothing to a new account of the same address', async () => {
    const first = tenant.accounts.add('eva@acme.example');
    await tenant.upload('eva@acme.example');
    tenant.accounts.delete(first.id);
    tenant.accounts.add('eva@acme.example');
    expect((await list('eva@acme.example')).data).toEqual({});
  });
});

describe('the CSE methods, while quotas are on,', () => {
  it('answer 429 when a user has spent the 6,000 units of a minute, and again the next minute', async () => {
    const own = await Tenant.open();
    try {
      own.accounts.add(ANA);
      own.accounts.add('bob@acme.example');
      own.world.faults.apply({ quotas: true });
      own.world.clock.set(new Date(Math.ceil(own.world.clock.nowMs() / 60_000) * 60_000));
      const path = 'gmail/v1/users/me/settings/cse/keypairs/ANe1BmNone:disable';
      const authorization = `Bearer ${own.world.tokenOf({
        kind: 'user',
        email: ANA,
        scopes: [SETTINGS_BASIC],
        serviceAccount: 'sealwright-gmail@acme-sealwright.iam.gserviceaccount.com',
      })}`;
      const spent = Array.from({ length: 6000 / 5 }, async () => {
        const response = await fetch(own.world.root + path, { method: 'POST', headers: { authorization } });
        await response.arrayBuffer();
        return response.status;
      });
      expect(new Set(await Promise.all(spent))).toEqual(new Set([404]));
      const spend = (email: string) =>
        own.client(email).users.settings.cse.keypairs.disable({ userId: 'me', keyPairId: 'ANe1BmNone' });
      expect(await refusalOf(spend(ANA))).toMatchObject({
        code: 429,
        status: 'RESOURCE_EXHAUSTED',
        reason: 'rateLimitExceeded',
      });
      expect((await refusalOf(spend('bob@acme.example'))).code).toBe(404);
      own.world.clock.advance(60_000);
      expect((await refusalOf(spend(ANA))).code).toBe(404);
    } finally {
      await own.close();
    }
  });
});

describe('what Gmail keeps', () => {
  it('is there again after a restart', async () => {
    const file = join(tmpdir(), `gmail-state-${process.pid}.json`);
    const own = await Tenant.open({ stateFile: file });
    try {
      const account = own.accounts.add(ANA);
      const keyPairId = await own.upload(ANA);
      await own.client(ANA).users.settings.cse.identities.create({
        userId: 'me',
        requestBody: { emailAddress: ANA, primaryKeyPairId: keyPairId },
      });
      own.world.state.flush();
      const context = { ...own.world.context, state: new EmulatorState(file) };
      const administration = createAdminConsole(context, { accounts: own.accounts });
      const gmail = createGmail(context, { accounts: own.accounts, administration, hosts: own.webHost });
      expect(gmail.keyPairs(account).map((pair) => pair.keyPairId)).toEqual([keyPairId]);
      expect(gmail.identity(account, ANA)?.signing.keyPairId).toBe(keyPairId);
      expect(administration.roots()).toEqual(own.adminConsole.roots());
    } finally {
      await own.close();
      rmSync(file, { force: true });
    }
  });
});

describe('an injected fault', () => {
  it('reaches the client as Gmail would send it', async () => {
    tenant.world.faults.apply({
      calls: [
        {
          method: 'gmail.users.settings.cse.keypairs.create',
          status: 409,
          reason: 'aborted',
          message: 'The operation was aborted.',
        },
      ],
    });
    const call = tenant
      .client(ANA)
      .users.settings.cse.keypairs.create({ userId: 'me', requestBody: keyPair('') });
    expect(await refusalOf(call)).toMatchObject({ code: 409, status: 'ABORTED', reason: 'aborted' });
    tenant.world.faults.apply({ reset: true });
    expect(tenant.accounts.byId(anaId)?.primaryEmail).toBe(ANA);
  });
});
