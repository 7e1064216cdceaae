import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROFILE } from '../../../emulator/gmail/index.ts';
import type { AuthorityRequest, LeafRequest } from './pki.ts';
import { openssl } from './pki.ts';
import { keyPair, refusalOf, Tenant } from './tenant.ts';

const ANA = 'ana@acme.example';
const DAY_MS = 86_400_000;
let tenant: Tenant;

beforeAll(async () => {
  tenant = await Tenant.open();
  tenant.accounts.add(ANA);
});
afterAll(() => tenant.close());

const create = (pkcs7: string, chainValidation?: string) =>
  tenant.client(ANA).users.settings.cse.keypairs.create({
    userId: 'me',
    requestBody: keyPair(pkcs7),
    ...(chainValidation === undefined ? {} : { chainValidation }),
  });

describe('keypairs.create, given a chain as openssl crl2pkcs7 writes it,', () => {
  it('answers a key pair with the chain in PEM, leaf first, and the addresses of the leaf', async () => {
    const leaf = tenant.pki.leaf(tenant.issuing, ANA);
    const { data } = await create(tenant.pkcs7(leaf));
    const certificates = (data.pem ?? '')
      .split(/(?<=-----END CERTIFICATE-----\n)/)
      .map((pem) => new X509Certificate(pem).raw);
    expect(certificates).toEqual([leaf.der, tenant.issuing.der, tenant.root.der]);
    expect(data.subjectEmailAddresses).toEqual([ANA]);
    expect(data.enablementState).toBe('enabled');
    expect(data).not.toHaveProperty('pkcs7');
    expect(data).not.toHaveProperty('disableTime');
    expect(data.keyPairId).toMatch(/^ANe1Bm[A-Za-z0-9_-]{49}$/);
  });

  it('finds the leaf wherever it stands', async () => {
    const leaf = tenant.pki.leaf(tenant.issuing, ANA);
    const { data } = await create(tenant.pki.pkcs7(tenant.root, leaf, tenant.issuing));
    expect(new X509Certificate(data.pem ?? '').raw).toEqual(leaf.der);
  });

  it('takes a leaf for signing or encryption alone, and the address from the subject besides the SAN', async () => {
    for (const keyUsage of ['critical,digitalSignature', 'critical,keyEncipherment']) {
      const leaf = tenant.pki.leaf(tenant.issuing, ANA, { extensions: { keyUsage } });
      await expect(create(tenant.pkcs7(leaf))).resolves.toMatchObject({ status: 200 });
    }
  });

  it('takes a chain with two intermediate CAs', async () => {
    const upper = tenant.pki.authority('upper', {
      issuer: tenant.root,
      extensions: { basicConstraints: 'critical,CA:TRUE,pathlen:1' },
    });
    const lower = tenant.pki.authority('lower', { issuer: upper });
    for (const authority of [upper, lower])
      tenant.web.set(`/${authority.name}.crl`, tenant.pki.crl(authority));
    const leaf = tenant.pki.leaf(lower, ANA);
    await expect(create(tenant.pki.pkcs7(leaf, lower, upper, tenant.root))).resolves.toMatchObject({
      status: 200,
    });
  });

  it('takes a leaf of exactly 27 months and refuses one a second longer', async () => {
    const notBefore = new Date(Math.floor(Date.now() / 1000) * 1000 - DAY_MS);
    const end = new Date(notBefore);
    end.setUTCMonth(end.getUTCMonth() + 27);
    if (end.getUTCDate() !== notBefore.getUTCDate()) end.setUTCDate(0);
    const exact = tenant.pki.leaf(tenant.issuing, ANA, { notBefore, notAfter: end });
    await expect(create(tenant.pkcs7(exact))).resolves.toMatchObject({ status: 200 });
    const longer = tenant.pki.leaf(tenant.issuing, ANA, {
      notBefore,
      notAfter: new Date(end.getTime() + 1000),
    });
    expect((await refusalOf(create(tenant.pkcs7(longer)))).message).toContain('[leaf-validity-months]');
  });
});

describe('keypairs.create, by the profile of a leaf, refuses one', () => {
  const leafWith = (extensions: NonNullable<LeafRequest['extensions']>): LeafRequest => ({ extensions });
  it.each<[string, string, LeafRequest]>([
    ['without key usage', 'leaf-key-usage-critical', leafWith({ keyUsage: null })],
    [
      'with key usage that is not critical',
      'leaf-key-usage-critical',
      leafWith({ keyUsage: 'digitalSignature' }),
    ],
    [
      'with keyCertSign',
      'leaf-key-usage-bits',
      leafWith({ keyUsage: 'critical,digitalSignature,keyCertSign' }),
    ],
    [
      'with dataEncipherment alone',
      'leaf-key-usage-bits',
      leafWith({ keyUsage: 'critical,dataEncipherment' }),
    ],
    ['without extended key usage', 'leaf-extended-key-usage', leafWith({ extendedKeyUsage: null })],
    [
      'for a web server',
      'leaf-extended-key-usage',
      leafWith({ extendedKeyUsage: 'emailProtection,serverAuth' }),
    ],
    [
      'for any purpose',
      'leaf-extended-key-usage',
      leafWith({ extendedKeyUsage: 'emailProtection,anyExtendedKeyUsage' }),
    ],
    ['for a client only', 'leaf-extended-key-usage', leafWith({ extendedKeyUsage: 'clientAuth' })],
    ['without certificate policies', 'leaf-certificate-policies', leafWith({ certificatePolicies: null })],
    ['with anyPolicy', 'leaf-certificate-policies', leafWith({ certificatePolicies: '2.5.29.32.0' })],
    [
      'with critical policies',
      'leaf-certificate-policies',
      leafWith({ certificatePolicies: 'critical,1.3.6.1.4.1.99999.1.1' }),
    ],
    [
      'without CRL distribution points',
      'leaf-crl-distribution-points',
      leafWith({ crlDistributionPoints: null }),
    ],
    [
      'with a CRL over https',
      'leaf-crl-distribution-points',
      leafWith({ crlDistributionPoints: 'URI:https://pki.acme.example/issuing.crl' }),
    ],
    [
      'with a CRL on a loopback address',
      'leaf-crl-distribution-points',
      leafWith({ crlDistributionPoints: 'URI:http://127.0.0.1/issuing.crl' }),
    ],
    [
      'without subject alternative name',
      'leaf-subject-alt-name',
      { subject: '/O=Acme', extensions: { subjectAltName: null } },
    ],
    [
      'with a host name in the SAN',
      'leaf-subject-alt-name',
      leafWith({ subjectAltName: `email:${ANA},DNS:acme.example` }),
    ],
    ['with a critical SAN', 'leaf-subject-alt-name', leafWith({ subjectAltName: `critical,email:${ANA}` })],
    [
      'with an address in the subject that is not in the SAN',
      'leaf-subject-address-in-san',
      { subject: `/CN=Ana/emailAddress=other@acme.example` },
    ],
    ['that is a CA', 'leaf-basic-constraints', leafWith({ basicConstraints: 'critical,CA:TRUE' })],
    ['with a serial number of four bytes', 'leaf-serial-entropy', { serialHex: '01020304' }],
    ['with a serial number of 21 bytes', 'leaf-serial', { serialHex: '01'.repeat(21) }],
    ['with an RSA key of 1024 bits', 'leaf-key', { key: 'rsa-1024' }],
    ['signed with SHA-1', 'leaf-signature-algorithm', { digest: 'sha1' }],
    [
      'with an unknown critical extension',
      'leaf-critical-extensions',
      leafWith({ '1.3.6.1.4.1.99999.7': 'critical,ASN1:NULL' }),
    ],
    [
      'that has expired',
      'expired',
      { notBefore: new Date(Date.now() - 9 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) },
    ],
    ['that is not valid yet', 'not-yet-valid', { notBefore: new Date(Date.now() + DAY_MS) }],
    [
      'of somebody else',
      'leaf-address',
      { subject: '/CN=bob@acme.example', extensions: { subjectAltName: 'email:bob@acme.example' } },
    ],
  ])('%s', async (_case, rule, request) => {
    const refusal = await refusalOf(create(tenant.pkcs7(tenant.pki.leaf(tenant.issuing, ANA, request))));
    expect(refusal).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT', reason: 'invalidArgument' });
    expect(refusal.message).toContain(`[${rule}]`);
  });
});

describe('keypairs.create, by the profile of an issuing CA, refuses one', () => {
  const caWith = (extensions: NonNullable<AuthorityRequest['extensions']>): AuthorityRequest => ({
    extensions,
  });
  it.each<[string, string, AuthorityRequest]>([
    ['without basic constraints', 'issuing-basic-constraints', caWith({ basicConstraints: null })],
    [
      'with basic constraints that are not critical',
      'issuing-basic-constraints',
      caWith({ basicConstraints: 'CA:TRUE,pathlen:0' }),
    ],
    ['without keyCertSign', 'issuing-key-cert-sign', caWith({ keyUsage: 'critical,cRLSign' })],
    [
      'with key usage that is not critical',
      'issuing-key-usage-critical',
      caWith({ keyUsage: 'keyCertSign,cRLSign' }),
    ],
    [
      'with keyEncipherment',
      'issuing-key-usage-bits',
      caWith({ keyUsage: 'critical,keyCertSign,keyEncipherment' }),
    ],
    ['without extended key usage', 'issuing-extended-key-usage', caWith({ extendedKeyUsage: null })],
    [
      'that may issue for web servers',
      'issuing-extended-key-usage',
      caWith({ extendedKeyUsage: 'emailProtection,serverAuth' }),
    ],
    [
      'without CRL distribution points',
      'issuing-crl-distribution-points',
      caWith({ crlDistributionPoints: null }),
    ],
    [
      'valid for more than 20 years',
      'issuing-validity-years',
      { notAfter: new Date(Date.now() + 21 * 366 * DAY_MS) },
    ],
    [
      'that has expired',
      'expired',
      { notBefore: new Date(Date.now() - 9 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) },
    ],
    ['signed with SHA-1', 'issuing-signature-algorithm', { digest: 'sha1' }],
    [
      'whose name constraints leave the address out',
      'name-constraints',
      caWith({ nameConstraints: 'critical,permitted;email:other.example' }),
    ],
    [
      'whose name constraints exclude the address',
      'name-constraints',
      caWith({ nameConstraints: `critical,excluded;email:${ANA}` }),
    ],
  ])('%s', async (name, rule, request) => {
    const authority = tenant.pki.authority(`refused-${name.replace(/\W/g, '')}`, {
      issuer: tenant.root,
      keyOf: tenant.issuing,
      ...request,
    });
    const leaf = tenant.pki.leaf(authority, ANA);
    const refusal = await refusalOf(create(tenant.pki.pkcs7(leaf, authority, tenant.root)));
    expect(refusal).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT' });
    expect(refusal.message).toContain(`[${rule}]`);
  });

  it('below a CA whose path length forbids it', async () => {
    const closed = tenant.pki.authority('closed', { issuer: tenant.root });
    const below = tenant.pki.authority('below', { issuer: closed });
    const leaf = tenant.pki.leaf(below, ANA);
    const refusal = await refusalOf(create(tenant.pki.pkcs7(leaf, below, closed, tenant.root)));
    expect(refusal.message).toContain('[path-length]');
  });
});

describe('keypairs.create, looking at how the chain hangs together, refuses one', () => {
  const rule = async (...certificates: readonly { path: string }[]): Promise<string> =>
    (await refusalOf(create(tenant.pki.pkcs7(...certificates)))).message;

  it('without its root', async () => {
    expect(await rule(tenant.pki.leaf(tenant.issuing, ANA), tenant.issuing)).toContain('[chain-complete]');
  });

  it('without its issuing CA', async () => {
    const message = await rule(tenant.pki.leaf(tenant.issuing, ANA), tenant.root);
    expect(message).toMatch(/must have one leaf/);
  });

  it('whose root issued the leaf itself', async () => {
    const leaf = tenant.pki.leaf(tenant.root, ANA);
    expect(await rule(leaf, tenant.root)).toContain('[chain-intermediate]');
  });

  it('under a root that nobody uploaded, though it has the same name', async () => {
    const other = tenant.pki.authority('other-root', { subject: '/O=Acme/CN=Acme root CA' });
    const below = tenant.pki.authority('other-issuing', { issuer: other });
    expect(await rule(tenant.pki.leaf(below, ANA), below, other)).toContain('[root-trusted]');
  });

  it('whose CA has the right name and another key', async () => {
    const impostor = tenant.pki.authority('impostor', {
      issuer: tenant.root,
      subject: '/O=Acme/CN=Acme issuing CA',
    });
    expect(await rule(tenant.pki.leaf(tenant.issuing, ANA), impostor, tenant.root)).toContain(
      '[chain-signature]',
    );
  });

  it("whose issuer name is the CA's in another encoding", async () => {
    const printable = tenant.pki.authority('printable', {
      issuer: tenant.root,
      subject: '/O=Acme/CN=Acme issuing CA',
      keyOf: tenant.issuing,
      stringMask: 'nombstr', // PrintableString, where the real one has UTF8String
    });
    const message = await rule(tenant.pki.leaf(tenant.issuing, ANA), printable, tenant.root);
    expect(message).toContain('[issuer-dn-bytes]');
    expect(message).not.toContain('[chain-signature]');
  });

  it('that carries a certificate of another chain', async () => {
    const other = tenant.pki.authority('stranger');
    const leaf = tenant.pki.leaf(tenant.issuing, ANA);
    expect(await rule(leaf, tenant.issuing, tenant.root, other)).toMatch(/must have one leaf/);
  });

  it('with two leaves', async () => {
    const leaves = [tenant.pki.leaf(tenant.issuing, ANA), tenant.pki.leaf(tenant.issuing, ANA)];
    expect(await rule(...leaves, tenant.issuing, tenant.root)).toMatch(/must have one leaf/);
  });

  it('that names a certificate twice', async () => {
    const leaf = tenant.pki.leaf(tenant.issuing, ANA);
    expect(await rule(leaf, leaf, tenant.issuing, tenant.root)).toMatch(/the same certificate twice/);
  });
});

describe('keypairs.create, reading pkcs7, refuses', () => {
  const refused = async (pkcs7: string): Promise<string> => {
    const refusal = await refusalOf(create(pkcs7, 'none'));
    expect(refusal).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT' });
    return refusal.message;
  };
  const labelled = (der: Buffer, label = 'PKCS7'): string =>
    `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END ${label}-----\n`;

  it('none at all', async () => {
    expect(await refused('')).toMatch(/pkcs7 must hold/);
  });

  it('certificates in PEM', async () => {
    expect(await refused(tenant.pki.leaf(tenant.issuing, ANA).pem)).toMatch(/must be a PKCS#7 in PEM/);
  });

  it('a PKCS#7 under another label, or with text around it', async () => {
    const pem = tenant.pkcs7(tenant.pki.leaf(tenant.issuing, ANA));
    expect(await refused(pem.replaceAll('PKCS7', 'CMS'))).toMatch(/must be a PKCS#7 in PEM/);
    expect(await refused(`subject=Ana\n${pem}`)).toMatch(/must be a PKCS#7 in PEM/);
  });

  it('base64 of something else', async () => {
    expect(await refused(labelled(Buffer.from('not a PKCS#7 at all')))).toMatch(/Invalid PKCS#7/);
  });

  it('a PKCS#7 with bytes behind it', async () => {
    const pem = tenant.pkcs7(tenant.pki.leaf(tenant.issuing, ANA));
    const der = Buffer.from(pem.replace(/-----.*-----|\n/g, ''), 'base64');
    expect(await refused(labelled(Buffer.concat([der, Buffer.from([0])])))).toMatch(/not one complete DER/);
  });

  it('a PKCS#7 whose outermost length is indefinite, as BER may have it', async () => {
    const pem = tenant.pkcs7(tenant.pki.leaf(tenant.issuing, ANA));
    const der = Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64');
    expect(der[1]).toBe(0x82);
    const ber = Buffer.concat([Buffer.from([0x30, 0x80]), der.subarray(4), Buffer.from([0, 0])]);
    expect(await refused(labelled(ber))).toMatch(/not one complete DER value/);
  });

  it('a PKCS#7 with a certificate that is damaged inside', async () => {
    const leaf = tenant.pki.leaf(tenant.issuing, ANA);
    const der = Buffer.from(tenant.pkcs7(leaf).replace(/-----[^-]+-----/g, ''), 'base64');
    const tbsLengthAt = der.indexOf(leaf.der) + 6;
    der.writeUInt16BE(der.readUInt16BE(tbsLengthAt) + 500, tbsLengthAt);
    expect(await refused(labelled(der))).toMatch(/cannot be read as X\.509/);
  });

  it('a PKCS#7 with a signer', async () => {
    const leaf = tenant.pki.leaf(tenant.issuing, ANA);
    const signed = openssl(
      ['smime', '-sign', '-signer', leaf.path, '-inkey', leaf.keyPath, '-outform', 'DER'],
      Buffer.from('hello'),
    );
    expect(await refused(labelled(signed))).toMatch(/Invalid PKCS#7/);
  });

  it('a PKCS#7 with a CRL', async () => {
    const leaf = tenant.pki.leaf(tenant.issuing, ANA);
    const crl = tenant.pki.file('issuing.crl', tenant.pki.crl(tenant.issuing));
    const pem = openssl(['crl2pkcs7', '-in', crl, '-inform', 'DER', '-certfile', leaf.path]).toString();
    expect(await refused(pem)).toMatch(/no CRLs/);
  });

  it('an empty PKCS#7', async () => {
    const nothing = tenant.pki.file('nothing.pem');
    const pem = openssl(['crl2pkcs7', '-nocrl', '-certfile', nothing]).toString();
    expect(await refused(pem)).toMatch(/holds no certificates/);
  });
});

describe('keypairs.create with chainValidation none', () => {
  it('takes an expired chain for old mail', async () => {
    const leaf = tenant.pki.leaf(tenant.issuing, ANA, {
      notBefore: new Date(Date.now() - 9 * DAY_MS),
      notAfter: new Date(Date.now() - DAY_MS),
    });
    await expect(create(tenant.pkcs7(leaf), 'none')).resolves.toMatchObject({ status: 200 });
  });

  it('refuses a value that is neither all nor none', async () => {
    const pkcs7 = tenant.pkcs7(tenant.pki.leaf(tenant.issuing, ANA));
    expect(await refusalOf(create(pkcs7, 'NONE'))).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT' });
  });
});

describe('the profile', () => {
  it('gives every rule an id of its own and a sentence', () => {
    expect(new Set(PROFILE.map((rule) => rule.id)).size).toBe(PROFILE.length);
    for (const rule of PROFILE) expect(rule.sentence).toMatch(/^(it|its|each) .*\b(must|may)\b/);
  });
});
