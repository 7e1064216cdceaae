import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type CaKeys, pinnedCaKeys } from '../../shared/authority/ca-keys.ts';
import type { IssuerRecord } from '../../shared/domain/records.ts';
import { type SampleAuthority, sampleAuthority } from '../pki/sample-authority.ts';
import { type ManualClock, manualClock } from '../support/fakes/clock.ts';
import { type FakeSecrets, fakeSecrets } from '../support/fakes/secrets.ts';
import { noSigningKeys } from '../support/fakes/signing-keys.ts';
import { KEY_VERSION, MINUTE_MS, START } from '../support/fakes/world.ts';

let authority: SampleAuthority;
let clock: ManualClock;
let secrets: FakeSecrets;
let keys: CaKeys;
let issuer: IssuerRecord;

beforeAll(async () => {
  authority = await sampleAuthority();
});
beforeEach(() => {
  clock = manualClock(START);
  secrets = fakeSecrets();
  secrets.put(KEY_VERSION, authority.issuing.pkcs8Der);
  keys = pinnedCaKeys({ secrets, signingKeys: noSigningKeys, clock });
  issuer = {
    issuerId: 'issuing-1',
    certificateDer: authority.issuing.certificateDer,
    chainDer: [authority.root.certificateDer],
    keyVersion: KEY_VERSION,
    crlUrl: 'http://pki.acme.example/issuing.crl',
    issuerUrl: 'http://pki.acme.example/issuing.cer',
    state: 'active',
  };
});

describe('CA keys from Secret Manager', () => {
  test('are read once and kept for five minutes, not longer', async () => {
    await keys.signerOf(issuer);
    clock.advance(5 * MINUTE_MS - 1);
    await keys.signerOf(issuer);
    expect(secrets.reads).toBe(1);
    clock.advance(1);
    await keys.signerOf(issuer);
    expect(secrets.reads).toBe(2);
  });

  test('that are destroyed stop signing within five minutes', async () => {
    await keys.signerOf(issuer);
    secrets.destroy(KEY_VERSION);
    clock.advance(5 * MINUTE_MS);
    await expect(keys.signerOf(issuer)).rejects.toMatchObject({ code: 'secret-unreadable' });
    // A failure is not kept either.
    secrets.put(KEY_VERSION, authority.issuing.pkcs8Der);
    await expect(keys.signerOf(issuer)).resolves.toBeDefined();
  });

  test('are wiped from the buffer they came in, also when they are refused', async () => {
    const buffers: Uint8Array[] = [];
    const watched = pinnedCaKeys({
      secrets: {
        read: async (version) => {
          const payload = await secrets.read(version);
          buffers.push(payload);
          return payload;
        },
      },
      signingKeys: noSigningKeys,
      clock,
    });
    await watched.signerOf(issuer);
    secrets.put('projects/acme/secrets/root/versions/1', authority.root.pkcs8Der);
    const wrong = { ...issuer, keyVersion: 'projects/acme/secrets/root/versions/1' };
    await expect(watched.signerOf(wrong)).rejects.toMatchObject({ code: 'ca-key-unusable' });
    expect(buffers).toHaveLength(2);
    expect(buffers.every((buffer) => buffer.every((byte) => byte === 0))).toBe(true);
  });

  test('belong to the version the issuer pins', async () => {
    const next = { ...issuer, keyVersion: 'projects/acme/secrets/issuing-key/versions/2' };
    await keys.signerOf(issuer);
    await expect(keys.signerOf(next)).rejects.toMatchObject({ code: 'secret-missing' });
  });
});
