import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { activate } from '../../shared/authority/activate.ts';
import { checkAddresses } from '../../shared/authority/readiness.ts';
import { ocspError } from '../../shared/pki/ocsp.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { CRL_URL, ISSUER_URL } from '../pki/sample-authority.ts';
import { CAUSE, createWorld, DAY_MS, ISSUER_ID, makeMaterials, type World } from '../support/fakes/world.ts';
import { publishOcsp } from '../support/publish-ocsp.ts';

const OCSP_URL = 'http://pki.acme.example/ocsp';
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
  for (const url of [CRL_URL, OCSP_URL]) world.publicWeb.put(url, undefined);
  issuerAnswers({});
  world.log.lines.length = 0;
});

const issuerAnswers = (changes: object) =>
  world.publicWeb.put(ISSUER_URL, {
    status: 200,
    contentType: 'application/pkix-cert',
    body: world.authority.issuing.certificateDer,
    ...changes,
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
    expect(await world.ledger.issuerAddresses(ISSUER_ID)).toEqual([
      {
        kind: 'crl',
        url: CRL_URL,
        verifiedAt: at,
        seenAt: at,
        sha256Hex: expect.stringMatching(/^[0-9a-f]{64}$/),
        found: expect.stringMatching(/^CRL 1, good until/),
      },
      {
        kind: 'issuer',
        url: ISSUER_URL,
        verifiedAt: at,
        seenAt: at,
        sha256Hex: expect.stringMatching(/^[0-9a-f]{64}$/),
        found: 'the issuer’s certificate',
      },
      {
        kind: 'ocsp',
        url: OCSP_URL,
        verifiedAt: at,
        seenAt: at,
        sha256Hex: expect.stringMatching(/^[0-9a-f]{64}$/),
        found: expect.stringMatching(/^an answer good until/),
      },
    ]);
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

  it('with a CRL that has ended does not become ready', async () => {
    world.clock.advance(8 * DAY_MS);
    expect(await look()).toContainEqual(
      expect.objectContaining({ kind: 'crl', failure: expect.stringMatching(/ended at/) }),
    );
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

describe('sign', () => {
  it('refuses a leaf whose addresses were never found right, whoever intended it', async () => {
    await look();
    await join();
    const [leaf] = await leaves();
    const intent = await world.ledger.readLeafIntent(leaf?.serialHex ?? '');
    if (intent === undefined) throw new Error('There is no intent.');
    const { signLeafIntent } = await import('../../shared/authority/sign.ts');
    const { leafDer: _signed, ...unsigned } = intent;
    const ledger = {
      ...world.ledger,
      readLeafIntent: async () => ({ ...unsigned, state: 'intended' as const }),
      issuerAddresses: async () => [],
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
