import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { activate } from '../../shared/authority/activate.ts';
import { checkAddresses } from '../../shared/authority/readiness.ts';
import { encodeOcspRequest, issuerHashes, ocspError } from '../../shared/pki/ocsp.ts';
import { readOcspRequest } from '../../shared/pki/ocsp-reader.ts';
import { OCSP_OIDS } from '../../shared/pki/oids.ts';
import { certsOnlyPkcs7 } from '../../shared/pki/pkcs7.ts';
import type { PublicWeb } from '../../shared/ports/public-web.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { foreignChain, ISSUING_EXTENSIONS, replaced } from '../pki/foreign-chain.ts';
import { opensslInstalled } from '../pki/openssl.ts';
import { CRL_URL, ISSUER_URL, ROOT_CRL_URL, ROOT_URL } from '../pki/sample-authority.ts';
import { CAUSE, createWorld, DAY_MS, ISSUER_ID, makeMaterials, type World } from '../support/fakes/world.ts';
import { publishOcsp } from '../support/publish-ocsp.ts';

const OCSP_URL = 'http://pki.acme.example/ocsp';
/** What the fake has for questions of OCSP in the path. */
const BY_GET = `${OCSP_URL}/`;
const ANA = '100000000000000000001';

let world: World;
let putBack: () => Promise<void>;
beforeAll(async () => {
  world = await createWorld(await makeMaterials(), { ocspUrl: OCSP_URL, ready: false });
  await publishOcsp(world.ocspDeps, world.issuer);
  putBack = await world.save();
});
afterAll(() => world.close());
beforeEach(async () => {
  await putBack();
  for (const url of [CRL_URL, OCSP_URL, BY_GET]) world.publicWeb.put(url, undefined);
  const { root, issuing } = world.authority;
  for (const [url, body] of [
    [ISSUER_URL, issuing.certificateDer],
    [ROOT_URL, root.certificateDer],
  ] as const) {
    world.publicWeb.put(url, { status: 200, contentType: 'application/pkix-cert', body });
  }
  world.publicWeb.put(ROOT_CRL_URL, { status: 200, contentType: 'application/pkix-crl', body: root.crlDer });
  world.log.lines.length = 0;
});

const look = () => checkAddresses(world.readinessDeps, world.issuer);
const leaves = async () => (await world.ledger.readUser(ANA)).leaves;
const join = async () => {
  world.directory.put({ userId: ANA });
  await reconcile(world.deps, ANA, CAUSE).catch((error: unknown) => {
    if (!(error instanceof Error) || !('code' in error)) throw error;
  });
};

describe('an issuer', () => {
  it('issues nothing before its addresses were looked at, asks for the look, and goes on by itself afterwards', async () => {
    await join();
    expect(await leaves()).toEqual([]);
    expect((await world.ledger.readUser(ANA)).user?.reason).toContain(CRL_URL);
    expect(world.bus.crlRequests).toContain(ISSUER_ID);
    expect(await look()).toEqual([]);
    world.clock.advance(DAY_MS / 24);
    await join();
    expect(await leaves()).toMatchObject([{ state: 'signed' }]);
  });

  it('has what was fetched, its digest and its time in the ledger', async () => {
    await look();
    const at = world.clock.now();
    const right = (kind: string, url: string, found: RegExp) => ({
      ...{ kind, url, verifiedAt: at, seenAt: at },
      sha256Hex: expect.stringMatching(/^[0-9a-f]{64}$/),
      found: expect.stringMatching(found),
    });
    expect(await world.ledger.issuerAddresses(ISSUER_ID)).toEqual([
      right('crl', CRL_URL, /^CRL 1, good until/),
      right('crl', ROOT_CRL_URL, /^CRL 1, good until/),
      right('issuer', ISSUER_URL, /^the issuer’s certificate$/),
      right('issuer', ROOT_URL, /^the certificate of the CA above$/),
      right('ocsp', OCSP_URL, /^answers by GET and POST, with SHA-1 and SHA-256, good until/),
    ]);
  });

  it('is asked by OCSP in each way that a client asks', async () => {
    const before = world.publicWeb.fetched.length;
    await look();
    const asked = world.publicWeb.fetched.slice(before).filter((url) => url.startsWith(OCSP_URL));
    expect(asked.filter((url) => url === OCSP_URL)).toHaveLength(2);
    const paths = asked.filter((url) => url.startsWith(BY_GET)).map((url) => url.slice(BY_GET.length));
    const hashes = paths.map((path) => {
      const { certIds } = readOcspRequest(Buffer.from(decodeURIComponent(path), 'base64'));
      return certIds[0]?.hashOid;
    });
    expect(hashes).toEqual([OCSP_OIDS.sha1, OCSP_OIDS.sha256]);
  });

  it.each([
    ['CRL that redirects to https', CRL_URL, { status: 301 }, /redirects \(HTTP 301\)/],
    ['CRL that is not there', CRL_URL, { status: 404 }, /HTTP 404/],
    ['CRL with another content type', CRL_URL, { contentType: 'text/html' }, /content type is "text\/html"/],
    ['CRL that is none', CRL_URL, { body: Buffer.from('<html>') }, /not this issuer’s/],
    ['CRL that nobody answers for', CRL_URL, 'away', /could not be fetched/],
    [
      'certificate of somebody else',
      ISSUER_URL,
      { status: 200, contentType: 'application/pkix-cert', body: Buffer.from('3000', 'hex') },
      /not this issuer’s/,
    ],
    ['responder that refuses', OCSP_URL, { body: ocspError('unauthorized') }, /refuses with status 6/],
    ['responder that answers in HTML', OCSP_URL, { body: Buffer.from('<html>') }, /cannot be read/],
    ['CRL of its root that is not there', ROOT_CRL_URL, { status: 404 }, /HTTP 404.*ca root-crl --publish/],
    ['CRL of its root that redirects', ROOT_CRL_URL, { status: 302 }, /redirects \(HTTP 302\)/],
    ['CRL of its root that nobody answers for', ROOT_CRL_URL, 'away', /could not be fetched/],
    [
      'root’s certificate that is not there',
      ROOT_URL,
      { status: 404 },
      /HTTP 404.*into the bucket as root\.cer/,
    ],
    [
      'root’s certificate as text',
      ROOT_URL,
      { status: 200, contentType: 'application/pkix-cert', body: Buffer.from('-----BEGIN') },
      /cannot be read/,
    ],
  ] as const)('with a %s does not become ready, and the ledger says why', async (_name, url, answer, why) => {
    world.publicWeb.put(url, answer);
    expect(await look()).toMatchObject([{ url, failure: expect.stringMatching(why) }]);
    const [known] = (await world.ledger.issuerAddresses(ISSUER_ID)).filter((entry) => entry.url === url);
    expect(known?.failure).toMatch(why);
    expect(known?.verifiedAt).toBeUndefined();
    await join();
    expect(await leaves()).toEqual([]);
    expect(world.log.lines).toContainEqual(
      expect.objectContaining({
        event: 'public-address-wrong',
        fields: expect.objectContaining({ url, wasReady: false }),
      }),
    );
  });

  it('does not become ready while the root’s addresses give somebody else’s CRL and certificate', async () => {
    const { issuing } = world.authority;
    const own = await world.bucket.read(new URL(CRL_URL).pathname.slice(1));
    world.publicWeb.put(ROOT_URL, {
      ...{ status: 200, contentType: 'application/pkix-cert', body: issuing.certificateDer },
    });
    world.publicWeb.put(ROOT_CRL_URL, {
      ...{ status: 200, contentType: 'application/pkix-crl', body: own?.bytes ?? new Uint8Array() },
    });
    const found = await look();
    expect(found.map(({ url }) => url).sort()).toEqual([ROOT_URL, ROOT_CRL_URL].sort());
    for (const { failure } of found) expect(failure).toMatch(/not that of the CA above/);
  });

  it('does not become ready while the CRL of its root has ended', async () => {
    world.clock.advance(190 * DAY_MS);
    expect(await look()).toContainEqual(
      expect.objectContaining({ url: ROOT_CRL_URL, failure: expect.stringMatching(/ended at/) }),
    );
  });

  it('with a CRL that has ended does not become ready', async () => {
    world.clock.advance(8 * DAY_MS);
    expect(await look()).toContainEqual(
      expect.objectContaining({ kind: 'crl', failure: expect.stringMatching(/ended at/) }),
    );
  });

  it.each([
    ['GET', BY_GET, OCSP_URL],
    ['POST', OCSP_URL, BY_GET],
  ])('does not become ready while OCSP fails by %s alone', async (method, failing, working) => {
    world.publicWeb.put(working, {});
    world.publicWeb.put(failing, { status: 405 });
    expect(await look()).toMatchObject([
      {
        url: OCSP_URL,
        failure: expect.stringContaining(`asked by ${method} with SHA-1, it answers HTTP 405`),
      },
    ]);
  });

  it.each(['sha1', 'sha256'] as const)(
    'does not become ready while OCSP knows no CertID of %s',
    async (hash) => {
      const { publicWeb } = world.readinessDeps;
      const asks = (request: Uint8Array) => readOcspRequest(request).certIds[0]?.hashOid === OCSP_OIDS[hash];
      const refusal = {
        status: 200,
        contentType: 'application/ocsp-response',
        body: ocspError('unauthorized'),
      };
      const half: PublicWeb = {
        ...publicWeb,
        get: async (url) =>
          url.startsWith(BY_GET) && asks(Buffer.from(decodeURIComponent(url.slice(BY_GET.length)), 'base64'))
            ? refusal
            : publicWeb.get(url),
        post: async (url, body, type) => (asks(body) ? refusal : publicWeb.post(url, body, type)),
      };
      const said = hash === 'sha1' ? 'SHA-1' : 'SHA-256';
      expect(await checkAddresses({ ...world.readinessDeps, publicWeb: half }, world.issuer)).toMatchObject([
        {
          failure: expect.stringContaining(`asked by GET with ${said}, the responder refuses with status 6`),
        },
      ]);
    },
  );

  it('does not become ready by an answer of OCSP about the other digest', async () => {
    const { publicWeb } = world.readinessDeps;
    const [first] = await world.ledger.ocspSigners(ISSUER_ID);
    const request = encodeOcspRequest(
      'sha256',
      issuerHashes(world.issuer.certificateDer, 'sha256'),
      first?.serialHex ?? '',
    );
    const answer = await publicWeb.post(OCSP_URL, request, 'application/ocsp-request');
    world.publicWeb.put(OCSP_URL, answer);
    expect(await look()).toMatchObject([
      { failure: expect.stringContaining('names the issuer otherwise than the question did') },
    ]);
  });

  it('that was ready once goes on through an outage, which is an alarm', async () => {
    await look();
    world.publicWeb.put(CRL_URL, 'away');
    world.publicWeb.put(OCSP_URL, 'away');
    expect(await look()).toHaveLength(2);
    expect(world.log.lines).toContainEqual(
      expect.objectContaining({
        event: 'public-address-wrong',
        fields: expect.objectContaining({ url: CRL_URL, wasReady: true }),
      }),
    );
    await join();
    expect(await leaves()).toMatchObject([{ state: 'signed' }]);
  });

  it('that comes after another is not made active before', async () => {
    await world.ledger.recordIssuer({ ...world.issuer, state: 'retiring' });
    const next = {
      ...world.issuer,
      issuerId: 'next',
      crlUrl: 'http://pki.acme.example/next.crl',
      state: 'prepared',
    } as const;
    await world.ledger.recordIssuer(next);
    const deps = {
      ...world.deps,
      ledger: { ...world.ledger, latestPublishedCrl: () => world.ledger.latestPublishedCrl(ISSUER_ID) },
    };
    await expect(activate(deps, 'next')).rejects.toMatchObject({
      code: 'issuer-not-ready',
      message: expect.stringContaining('next.crl (not fetched yet)'),
    });
  });
});

describe.skipIf(!opensslInstalled)('an issuer below another company’s CA', () => {
  const ELSEWHERE = 'http://crl.other.example';
  const looked = async (issuingExtensions: readonly string[], there: Parameters<typeof put>[0]) => {
    const { root, issuing } = foreignChain({ issuingExtensions });
    const below = {
      ...world.issuer,
      ...{ issuerId: 'below', certificateDer: issuing, chainDer: [root], state: 'prepared' as const },
    };
    await world.ledger.recordIssuer(below);
    put(there, root);
    // OpenSSL makes its certificates by this machine's clock.
    const failures = await checkAddresses(
      { ...world.readinessDeps, clock: { now: () => new Date() } },
      below,
    );
    const known = await world.ledger.issuerAddresses('below');
    return { failures, urls: known.map(({ url }) => url).filter((url) => !url.startsWith('http://pki.')) };
  };
  const put = (how: (root: Buffer) => Uint8Array, root: Buffer) =>
    world.publicWeb.put(`${ELSEWHERE}/root.p7c`, {
      ...{ status: 200, contentType: 'application/octet-stream', body: how(root) },
    });
  const withAuthority = [
    ...replaced(
      ISSUING_EXTENSIONS,
      'crlDistributionPoints',
      'crlDistributionPoints = URI:ldap:///CN=Other?certificateRevocationList, URI:http://crl.other.example/root.crl',
    ),
    'authorityInfoAccess = OCSP;URI:http://ocsp.other.example, caIssuers;URI:http://crl.other.example/root.p7c',
  ];

  it('has the other CA’s http addresses looked at, whatever type their server gives, and neither its directory nor its OCSP', async () => {
    const { failures, urls } = await looked(withAuthority, (root) => certsOnlyPkcs7([root]));
    expect(urls).toEqual([`${ELSEWHERE}/root.crl`, `${ELSEWHERE}/root.p7c`]);
    expect(failures.filter(({ url }) => url.startsWith(ELSEWHERE))).toEqual([
      {
        ...{ kind: 'crl', url: `${ELSEWHERE}/root.crl` },
        failure: expect.stringMatching(/^it answers HTTP 404\. .*whoever runs the CA above has to mend it/),
      },
    ]);
  });

  it('does not become ready by a PKCS#7 without the certificate above', async () => {
    const { failures } = await looked(withAuthority, () => certsOnlyPkcs7([world.issuer.certificateDer]));
    expect(failures.find(({ url }) => url.endsWith('.p7c'))?.failure).toMatch(/not that of the CA above/);
  });

  it('that names its CRL in a directory alone does not become ready', async () => {
    const alone = replaced(
      ISSUING_EXTENSIONS,
      'crlDistributionPoints',
      'crlDistributionPoints = URI:ldap:///CN=Other?certificateRevocationList',
    );
    const { failures } = await looked(alone, (root) => root);
    expect(failures.find(({ url }) => url.startsWith('ldap:'))?.failure).toMatch(/^it is not plain http/);
  });
});

describe('sign', () => {
  it('refuses a leaf whose addresses were never found right, whoever intended it', async () => {
    await look();
    await join();
    const [leaf] = await leaves();
    const intent = await world.ledger.readLeafToSign(leaf?.serialHex ?? '');
    if (intent === undefined) throw new Error('There is no intent.');
    const { signLeafIntent } = await import('../../shared/authority/sign.ts');
    const { leafDer: _signed, ...unsigned } = intent;
    const ledger = {
      ...world.ledger,
      readLeafToSign: async () => ({ ...unsigned, state: 'intended' as const, issuerAddresses: [] }),
    };
    await expect(
      signLeafIntent({ clock: world.clock, ledger, caKeys: world.caKeys }, unsigned.serialHex),
    ).rejects.toMatchObject({
      kind: 'permanent',
      code: 'issuer-not-ready',
      message: expect.stringContaining(OCSP_URL),
    });
  });
});
