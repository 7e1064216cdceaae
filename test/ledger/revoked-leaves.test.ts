import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCrl } from '../../shared/pki/crl-reader.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import { textOf } from '../support/crl-text.ts';
import { openTestLedger } from '../support/ledger.ts';
import { revokedLeaves } from '../support/packed-entries.ts';

const DAY_MS = 86_400_000;
const START_MS = Date.parse('2027-03-01T09:00:00Z');
const ISSUER_ID = 'issuing-1';
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A ledger with one issuer, one user, one key, and a clock to move. */
class World {
  nowMs = START_MS;
  crlNumber = 0n;
  readonly ledger: Ledger;
  readonly lease: Lease;

  constructor(ledger: Ledger, lease: Lease) {
    this.ledger = ledger;
    this.lease = lease;
  }

  static async open(): Promise<World> {
    const clock = { now: () => new Date(START_MS) };
    const ledger = await openTestLedger({ now: () => clock.now() });
    const lease = await ledger.acquireLease('user:1', 3_600_000);
    if (lease === undefined) throw new Error('the lease is held');
    const world = new World(ledger, lease);
    clock.now = () => new Date(world.nowMs);
    await ledger.recordSighting(lease, { userId: '1', primaryEmail: 'ada@acme.example', aliases: [] });
    await ledger.recordIssuer({
      issuerId: ISSUER_ID,
      certificateDer: bytes('issuing'),
      chainDer: [],
      keyVersion: 'projects/p/secrets/issuing-1/versions/1',
      crlUrl: 'http://pki.acme.example/issuing-1.crl',
      issuerUrl: 'http://pki.acme.example/issuing-1.cer',
      state: 'active',
    });
    await ledger.recordKey(lease, {
      keyId: 'key-1',
      userId: '1',
      spkiSha256Hex: createHash('sha256').update('spki').digest('hex'),
      spkiDer: bytes('spki'),
      purpose: 'dual-use',
      modulusBits: 3072,
      keyServiceUrl: 'https://kacls.acme.example/v1',
      wrappedKey: 'wrapped',
      proof: 'proven',
    });
    return world;
  }

  async issue(serialHex: string, validDays: number): Promise<void> {
    await this.ledger.recordLeafIntent(this.lease, {
      serialHex,
      issuerId: ISSUER_ID,
      userId: '1',
      keyId: 'key-1',
      profile: 'dual-rsa-1',
      addresses: ['ada@acme.example'],
      notBefore: new Date(this.nowMs),
      notAfter: new Date(this.nowMs + validDays * DAY_MS),
      tbsDer: bytes(serialHex),
    });
  }

  async revoke(serialHex: string): Promise<void> {
    await this.ledger.recordRevocation(this.lease, { serialHex, reason: 'superseded' });
  }

  async listed(): Promise<readonly string[]> {
    return (await revokedLeaves(this.ledger, ISSUER_ID)).map((leaf) => leaf.serialHex);
  }

  /** Draws up, signs and publishes a CRL; `made` says what is in it. `meanwhile` runs after the list was read. */
  async publish(
    made: (serials: readonly string[]) => Pick<ReadonlySet<string>, 'has'>,
    meanwhile: () => Promise<void> = async () => undefined,
  ): Promise<readonly string[]> {
    const lease = await this.ledger.acquireLease(`issuer:${ISSUER_ID}`, 3_600_000);
    if (lease === undefined) throw new Error('the lease is held');
    const serials = await this.listed();
    const thisUpdate = new Date(this.nowMs);
    await meanwhile();
    this.crlNumber += 1n;
    await this.ledger.recordCrlIntent(lease, {
      issuerId: ISSUER_ID,
      crlNumber: this.crlNumber,
      thisUpdate,
      nextUpdate: new Date(this.nowMs + 7 * DAY_MS),
      text: textOf(bytes('tbs')),
    });
    await this.ledger.recordSignedCrl(ISSUER_ID, this.crlNumber, bytes('crl'));
    const entries = made(serials);
    await this.ledger.recordPublishedCrl(lease, ISSUER_ID, this.crlNumber, async (asked) =>
      asked.filter((serial) => entries.has(serial)),
    );
    await this.ledger.releaseLease(lease);
    return serials;
  }
}

const serialOf = (index: number): string => `01${index.toString(16).padStart(34, '0')}`;

/** Per serial: when it expires, whether it is revoked, whether a CRL listed it, and one made after its expiry. */
interface Model {
  readonly notAfterMs: number;
  revoked: boolean;
  listed: boolean;
  final: boolean;
}

const mustBeListed = (model: ReadonlyMap<string, Model>): readonly string[] =>
  [...model]
    .filter(([, { revoked, final }]) => revoked && !final)
    .map(([serial]) => serial)
    .sort();

const isAnyUnlisted = (model: ReadonlyMap<string, Model>): boolean =>
  [...model.values()].some(({ revoked, listed }) => revoked && !listed);

type Act =
  | { readonly kind: 'issue'; readonly validDays: number }
  | { readonly kind: 'revoke'; readonly which: number }
  | { readonly kind: 'advance'; readonly days: number }
  | { readonly kind: 'publish'; readonly revokedMeanwhile: number | undefined };

const acts = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('issue' as const),
        validDays: fc.integer({ min: 1, max: 8 }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('revoke' as const), which: fc.nat(20) }) },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('advance' as const), days: fc.integer({ min: 0, max: 5 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('publish' as const),
        revokedMeanwhile: fc.option(fc.nat(20), { nil: undefined }),
      }),
    },
  ) satisfies fc.Arbitrary<Act>,
  { minLength: 10, maxLength: 40 },
);

describe('whatever is issued, revoked and published in whatever order, the next CRL', () => {
  it('lists each revoked leaf until one CRL made after its expiry has listed it, and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(acts, async (plan) => {
        const world = await World.open();
        const model = new Map<string, Model>();
        const nth = (index: number) => [...model.keys()][index % Math.max(1, model.size)];
        const revoke = async (index: number) => {
          const serial = nth(index);
          const known = serial === undefined ? undefined : model.get(serial);
          if (serial === undefined || known === undefined) return;
          await world.revoke(serial);
          known.revoked = true;
        };
        for (const act of plan) {
          if (act.kind === 'issue') {
            const serial = serialOf(model.size + 1);
            await world.issue(serial, act.validDays);
            model.set(serial, {
              notAfterMs: world.nowMs + act.validDays * DAY_MS,
              revoked: false,
              listed: false,
              final: false,
            });
          } else if (act.kind === 'revoke') {
            await revoke(act.which);
          } else if (act.kind === 'advance') {
            world.nowMs += act.days * DAY_MS;
          } else {
            const { revokedMeanwhile } = act;
            const expected = mustBeListed(model);
            const listed = await world.publish(
              (serials) => new Set(serials),
              async () => {
                if (revokedMeanwhile !== undefined) await revoke(revokedMeanwhile);
              },
            );
            expect(listed).toEqual(expected);
            for (const serial of listed) {
              const known = model.get(serial);
              if (known === undefined) continue;
              known.listed = true;
              if (known.notAfterMs < world.nowMs) known.final = true;
            }
            expect(await world.ledger.hasUnlistedRevocations(ISSUER_ID)).toBe(isAnyUnlisted(model));
          }
        }
        expect(await world.listed()).toEqual(mustBeListed(model));
        expect(await world.ledger.hasUnlistedRevocations(ISSUER_ID)).toBe(isAnyUnlisted(model));
        await world.ledger.close();
      }),
      { numRuns: 25 },
    );
    // Three seconds of processor time, of which a busy machine gives little.
  }, 120_000);
});

describe('a CRL that OpenSSL made', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sealwright-crl-'));
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(join(folder, 'ca.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    openssl('req', '-x509', '-key', 'ca.key', '-subj', '/CN=Issuing', '-days', '30', '-out', 'ca.pem');
    writeFileSync(
      join(folder, 'ca.cnf'),
      '[ca]\ndefault_ca=here\n[here]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=7\n',
    );
    writeFileSync(join(folder, 'number'), '01\n');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const openssl = (...parameters: readonly string[]) =>
    execFileSync('openssl', parameters, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });

  /** The whole CRL as DER; its TBSCertList is in it byte for byte. */
  const crlListing = (serials: readonly string[]): Uint8Array => {
    const lines = serials.map(
      (serial) => `R\t290101000000Z\t270301000000Z,superseded\t${serial.toUpperCase()}\tunknown\t/CN=x\n`,
    );
    writeFileSync(join(folder, 'index.txt'), lines.join(''));
    openssl(
      'ca',
      '-gencrl',
      '-config',
      'ca.cnf',
      '-keyfile',
      'ca.key',
      '-cert',
      'ca.pem',
      '-out',
      'list.pem',
    );
    openssl('crl', '-in', 'list.pem', '-outform', 'DER', '-out', 'list.der');
    return new Uint8Array(readFileSync(join(folder, 'list.der')));
  };

  it('is seen to list exactly the serials it lists', async () => {
    const world = await World.open();
    const serials = Array.from({ length: 6 }, () => {
      const serial = randomBytes(18);
      serial[0] = 0x40;
      return serial.toString('hex');
    });
    for (const serial of serials) {
      await world.issue(serial, 1);
      await world.revoke(serial);
    }
    world.nowMs += 2 * DAY_MS;
    const carried = serials.slice(0, 3).sort();
    const left = serials.slice(3).sort();
    expect(await world.publish(() => new Set(readCrl(crlListing(carried)).entries.keys()))).toEqual(
      [...serials].sort(),
    );
    expect(await world.listed()).toEqual(left);
    await world.ledger.close();
  });
});
