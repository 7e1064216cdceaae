import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readCertificate } from '../../../emulator/gmail/certificate.ts';
import { Revocation } from '../../../emulator/gmail/revocation.ts';
import type { Leaf } from './pki.ts';
import { keyPair, refusalOf, Tenant } from './tenant.ts';

const ANA = 'ana@acme.example';
const HOUR_MS = 3_600_000;
let tenant: Tenant;

beforeAll(async () => {
  tenant = await Tenant.open();
  tenant.accounts.add(ANA);
});
beforeEach(() => tenant.restoreCrls());
afterAll(() => tenant.close());

const create = (leaf: Leaf, chainValidation?: string) =>
  tenant.client(ANA).users.settings.cse.keypairs.create({
    userId: 'me',
    requestBody: keyPair(tenant.pkcs7(leaf)),
    ...(chainValidation === undefined ? {} : { chainValidation }),
  });
const newLeaf = (): Leaf => tenant.pki.leaf(tenant.issuing, ANA);
const refused = async (): Promise<string> => {
  const refusal = await refusalOf(create(newLeaf()));
  expect(refusal).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT', reason: 'invalidArgument' });
  return refusal.message;
};

describe('keypairs.create, checking revocation, refuses a chain', () => {
  it('whose leaf is on the CRL', async () => {
    const leaf = newLeaf();
    tenant.pki.revoke(tenant.issuing, leaf, 'keyCompromise');
    tenant.publishCrls();
    expect((await refusalOf(create(leaf))).message).toMatch(
      /\[revoked\] "CN=ana@acme.example" was revoked at /,
    );
  });

  it("whose issuing CA is on the root's CRL", async () => {
    const issuing = tenant.pki.authority('revoked-issuing', { issuer: tenant.root });
    tenant.pki.revoke(tenant.root, issuing, 'CACompromise');
    tenant.publishCrls();
    tenant.web.set('/revoked-issuing.crl', tenant.pki.crl(issuing));
    const pkcs7 = tenant.pki.pkcs7(tenant.pki.leaf(issuing, ANA), issuing, tenant.root);
    const call = tenant
      .client(ANA)
      .users.settings.cse.keypairs.create({ userId: 'me', requestBody: keyPair(pkcs7) });
    expect((await refusalOf(call)).message).toMatch(/\[revoked\] "O=Acme, CN=Acme revoked-issuing CA"/);
  });

  it('whose CRL is not there, and names its address', async () => {
    tenant.web.delete('/issuing.crl');
    expect(await refused()).toMatch(
      /\[revocation-unknown\] .* at http:\/\/pki\.acme\.example\/issuing\.crl cannot be used: the server answered HTTP 404/,
    );
  });

  it("whose root's CRL is not there", async () => {
    tenant.web.delete('/root.crl');
    expect(await refused()).toMatch(/http:\/\/pki\.acme\.example\/root\.crl cannot be used/);
  });

  it('whose CRL host nobody answers for', async () => {
    const leaf = tenant.pki.leaf(tenant.issuing, ANA, {
      extensions: { crlDistributionPoints: 'URI:http://elsewhere.acme.example/issuing.crl' },
    });
    expect((await refusalOf(create(leaf))).message).toMatch(/nothing answers at that host/);
  });

  it('whose CRL is behind a redirect', async () => {
    tenant.web.set('/issuing.crl', { status: 301, headers: { location: '/root.crl' } });
    expect(await refused()).toMatch(/HTTP 301 instead of 200/);
  });

  it('whose CRL host hangs up', async () => {
    tenant.web.set('/issuing.crl', 'hangs up');
    expect(await refused()).toMatch(/the connection failed/);
  });

  it('whose CRL is stale by the clock', async () => {
    const end = new Date(Date.now() - HOUR_MS);
    tenant.web.set(
      '/issuing.crl',
      tenant.pki.crl(tenant.issuing, { thisUpdate: new Date(Date.now() - 24 * HOUR_MS), nextUpdate: end }),
    );
    expect(await refused()).toMatch(/it ended at /);
  });

  it('whose CRL has not begun', async () => {
    tenant.web.set(
      '/issuing.crl',
      tenant.pki.crl(tenant.issuing, { thisUpdate: new Date(Date.now() + HOUR_MS) }),
    );
    expect(await refused()).toMatch(/it starts only at /);
  });

  it('whose CRL is that of another issuer', async () => {
    tenant.web.set('/issuing.crl', tenant.pki.crl(tenant.root));
    expect(await refused()).toMatch(/it is the list of another issuer/);
  });

  it('whose CRL was signed by another key of the same name', async () => {
    const impostor = tenant.pki.authority('impostor', { subject: '/O=Acme/CN=Acme issuing CA' });
    tenant.web.set('/issuing.crl', tenant.pki.crl(impostor));
    expect(await refused()).toMatch(/its signature does not verify/);
  });

  it('whose CRL was changed by one bit', async () => {
    const crl = tenant.pki.crl(tenant.issuing);
    crl[crl.length - 1] = (crl.at(-1) ?? 0) ^ 1;
    tenant.web.set('/issuing.crl', crl);
    expect(await refused()).toMatch(/its signature does not verify/);
  });

  it('whose CRL is served as PEM', async () => {
    const der = tenant.pki.crl(tenant.issuing);
    tenant.web.set(
      '/issuing.crl',
      Buffer.from(`-----BEGIN X509 CRL-----\n${der.toString('base64')}\n-----END X509 CRL-----\n`),
    );
    expect(await refused()).toMatch(/no DER CRL/);
  });

  it('whose CRL speaks for CA certificates only', async () => {
    tenant.web.set(
      '/issuing.crl',
      tenant.pki.crl(tenant.issuing, { extensions: { issuingDistributionPoint: 'critical,onlyCA:TRUE' } }),
    );
    expect(await refused()).toMatch(/it lists CA certificates only/);
  });

  it('whose CRL is a delta CRL', async () => {
    tenant.web.set(
      '/issuing.crl',
      tenant.pki.crl(tenant.issuing, { extensions: { '2.5.29.27': 'critical,ASN1:INTEGER:1' } }),
    );
    expect(await refused()).toMatch(/it is a delta CRL/);
  });

  it("whose issuing CA's key usage has no cRLSign", async () => {
    const issuing = tenant.pki.authority('mute', {
      issuer: tenant.root,
      extensions: { keyUsage: 'critical,keyCertSign' },
    });
    tenant.web.set('/mute.crl', tenant.pki.crl(issuing));
    const pkcs7 = tenant.pki.pkcs7(tenant.pki.leaf(issuing, ANA), issuing, tenant.root);
    const call = tenant
      .client(ANA)
      .users.settings.cse.keypairs.create({ userId: 'me', requestBody: keyPair(pkcs7) });
    expect((await refusalOf(call)).message).toMatch(/has no cRLSign/);
  });
});

describe('a revocation check', () => {
  it('gives up on a host that does not answer', async () => {
    tenant.web.set('/issuing.crl', 'hangs');
    const revocation = new Revocation(tenant.world.clock, tenant.webHost, 50);
    const [leaf, issuing] = [newLeaf(), tenant.issuing].map(({ der }) => readCertificate(der));
    if (leaf === undefined || issuing === undefined) throw new Error('Both certificates were read.');
    expect(await revocation.check(leaf, issuing)).toMatchObject({
      kind: 'unknown',
      sentence: expect.stringMatching(/no answer within 0\.05 seconds/),
    });
  });
});

describe('keypairs.create, checking revocation,', () => {
  it('takes a leaf that is not on a CRL that lists others', async () => {
    tenant.pki.revoke(tenant.issuing, newLeaf(), 'superseded');
    tenant.publishCrls();
    await expect(create(newLeaf())).resolves.toMatchObject({ status: 200 });
  });

  it("takes a sharded CRL that names the leaf's own distribution point, and no other", async () => {
    const idp = (name: string) => ({
      issuingDistributionPoint: 'critical,@idp',
      '\n[idp]\nonlyuser': 'TRUE',
      fullname: `URI:http://pki.acme.example/${name}.crl`,
    });
    tenant.web.set('/issuing.crl', tenant.pki.crl(tenant.issuing, { extensions: idp('issuing') }));
    await expect(create(newLeaf())).resolves.toMatchObject({ status: 200 });
    tenant.web.set('/issuing.crl', tenant.pki.crl(tenant.issuing, { extensions: idp('issuing-2') }));
    expect(await refused()).toMatch(/names another address/);
  });

  it('uses the second distribution point when the first fails', async () => {
    const leaf = tenant.pki.leaf(tenant.issuing, ANA, {
      extensions: {
        crlDistributionPoints:
          'URI:http://gone.acme.example/issuing.crl,URI:http://pki.acme.example/issuing.crl',
      },
    });
    await expect(create(leaf)).resolves.toMatchObject({ status: 200 });
  });
});

describe('keypairs.create with chainValidation none, given a revoked leaf,', () => {
  it('takes it, and no identity may use it', async () => {
    const leaf = newLeaf();
    tenant.pki.revoke(tenant.issuing, leaf);
    tenant.publishCrls();
    const { data } = await create(leaf, 'none');
    const identity = tenant.client(ANA).users.settings.cse.identities.create({
      userId: 'me',
      requestBody: { emailAddress: ANA, primaryKeyPairId: data.keyPairId ?? '' },
    });
    const refusal = await refusalOf(identity);
    expect(refusal).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT' });
    expect(refusal.message).toMatch(/cannot be used by an identity\. .* was revoked at /);
  });

  it('lets an identity use a leaf that all checks would have passed', async () => {
    const { data } = await create(newLeaf(), 'none');
    const { data: identity } = await tenant.client(ANA).users.settings.cse.identities.create({
      userId: 'me',
      requestBody: { emailAddress: ANA, primaryKeyPairId: data.keyPairId ?? '' },
    });
    expect(identity).toEqual({ emailAddress: ANA, primaryKeyPairId: data.keyPairId });
  });
});
