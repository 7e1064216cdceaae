import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../shared/adapters/clock/system-clock.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { surround } from '../support/fakes/calls.ts';
import { openTestLedger } from '../support/ledger.ts';
import { callerHeaders } from './support/callers.ts';
import { serveDeployed, settings } from './support/deployed.ts';
import { type GoogleKeys, googleKeys } from './support/google-keys.ts';
import { logEntry, push } from './support/pushes.ts';
import { refusal, type Served } from './support/served.ts';
import { keepStandardOutput } from './support/standard-output.ts';

let folder: string;
let output: ReturnType<typeof keepStandardOutput>;
let google: GoogleKeys;
let ledger: Ledger;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deployed-'));
  output = keepStandardOutput();
  google = await googleKeys(systemClock);
  ledger = await openTestLedger(systemClock);
});
afterAll(async () => {
  output.restore();
  await Promise.all([google.close(), ledger.close()]);
  rmSync(folder, { recursive: true });
});

describe('directory-event as deployed', () => {
  let deployed: Served;
  beforeAll(async () => {
    deployed = await serveDeployed('directory-event', settings(folder, google.rootUrl), { ledger });
  });
  afterAll(() => deployed.close());

  const deliver = async (body: string) =>
    deployed.request('/', { headers: await callerHeaders(google), body });
  const padded = (bytes: number) => push({ ...logEntry([]), padding: 'x'.repeat(bytes) });

  it('takes a message of 1 MB', async () => {
    expect((await deliver(padded(1_000_000))).status).toBe(204);
  });

  it('takes the largest message that Pub/Sub delivers, 10 MB before base64', async () => {
    expect((await deliver(padded(9_990_000))).status).toBe(204);
  });

  it('answers 15 MB with 413', async () => {
    expect(await deliver('x'.repeat(15_000_000))).toMatchObject(
      refusal(413, 'request-too-large', 'at most 14680064'),
    );
  });
});

describe.each(['directory-watch', 'due', 'sign', 'publish-crl', 'admin'] as const)(
  '%s as deployed',
  (name) => {
    let deployed: Served;
    beforeAll(async () => {
      const untouchable = surround('ledger', ledger, async () => {
        throw new Error('The ledger was asked.');
      });
      deployed = await serveDeployed(name, settings(folder, google.rootUrl), { ledger: untouchable });
    });
    afterAll(() => deployed.close());

    it('answers a body over its limit with 413 before it asks who calls, and logs nothing of it', async () => {
      const body = JSON.stringify({ padding: 'x'.repeat(name === 'admin' ? 5_000_000 : 1_000_000) });
      const answer = await deployed.request('/v1/rekey', { body });
      expect(answer).toMatchObject(
        refusal(413, 'request-too-large', name === 'admin' ? 'at most 4194304' : 'at most 65536'),
      );
      expect(output.text()).not.toContain('xxxx');
    });
  },
);
