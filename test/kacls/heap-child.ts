/**
 * Run by `heap-snapshot.test.ts` as a process of its own: a key service that never saw a private key except wrapped,
 * asked a thousand times, then its heap written to a file. Reads one JSON object from standard input.
 */
import { text } from 'node:stream/consumers';
import { writeHeapSnapshot } from 'node:v8';
import { createKeyService } from '../../functions/key-service.ts';
import { systemClock } from '../../shared/adapters/clock/system-clock.ts';
import type { KeyServiceSettings } from '../../shared/kacls/settings.ts';

interface Assignment {
  readonly settings: KeyServiceSettings;
  readonly kek: { readonly id: string; readonly keyBase64: string };
  readonly keySets: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;
  readonly userId: string;
  readonly requests: readonly { readonly path: string; readonly body: Readonly<Record<string, string>> }[];
  readonly rounds: number;
  readonly snapshotFile: string;
  readonly canary: string;
}

const assignment = JSON.parse(await text(process.stdin)) as Assignment;
const { kek, keySets, requests, rounds } = assignment;
const statuses = new Map<number, number>();
const serve = createKeyService({
  settings: assignment.settings,
  keyEncryptionKeys: {
    current: async () => ({ id: kek.id, key: Buffer.from(kek.keyBase64, 'base64') }),
    byId: async (id) => (id === kek.id ? Buffer.from(kek.keyBase64, 'base64') : undefined),
  },
  addressBook: { userIdsOfAddress: async () => [assignment.userId] },
  keySetDocuments: { fetch: async (url) => ({ keys: keySets[url] ?? [], maxAgeMs: undefined }) },
  clock: systemClock,
  log: { info: () => {}, warning: () => {}, error: () => {} },
  version: 'heap',
});

/** A function of its own, so that no frame holds on to the last answer. */
async function ask(path: string, body: Readonly<Record<string, string>>): Promise<number> {
  const answer = await serve({
    method: 'POST',
    path,
    query: new URLSearchParams(),
    headers: {},
    body: Buffer.from(JSON.stringify(body)),
  });
  return answer.status;
}

for (let round = 0; round < rounds; round += 1) {
  for (const { path, body } of requests) {
    const status = await ask(path, body);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
}
// One request that has to do with no key ends the last one's turn.
await ask('/v1/nothing', {});
writeHeapSnapshot(assignment.snapshotFile);
console.log(JSON.stringify({ statuses: [...statuses], canaryLength: assignment.canary.length }));
