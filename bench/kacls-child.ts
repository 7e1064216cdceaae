/**
 * Run by `bench/kacls.ts` as a process of its own, so that its processor time is the service's alone: one key service
 * on loopback, behind the functions framework or on Node's own server. Told what to do by messages.
 */
import { constants, createPrivateKey, privateDecrypt, sign } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { http } from '@google-cloud/functions-framework';
import { getTestServer } from '@google-cloud/functions-framework/testing';
import { createKeyService, keyServiceEdge, keyServiceFunction } from '../functions/key-service.ts';
import { nodeServer } from '../functions/wire/node-server.ts';
import { systemClock } from '../shared/adapters/clock/system-clock.ts';
import { jsonLog } from '../shared/adapters/log.ts';
import type { KeyServiceSettings } from '../shared/kacls/settings.ts';

export interface Assignment {
  readonly host: 'framework' | 'node';
  readonly settings: KeyServiceSettings;
  readonly kekBase64: string;
  readonly keySets: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;
  readonly userId: string;
}

/** The raw operation that a request comes down to. */
export interface RawWork {
  readonly operation: 'sign' | 'decrypt';
  /** Whether OpenSSL keeps the key between operations, with what it computes at a key's first use. */
  readonly key: 'kept' | 'read each time';
  readonly privateKeyDerBase64: string;
  readonly inputBase64: string;
  readonly forMs: number;
}

/** One request, handled over and over without HTTP. */
export interface HandlerWork {
  readonly path: string;
  readonly bodyText: string;
  readonly forMs: number;
}

export interface Usage {
  readonly cpuMs: number;
  readonly residentMb: number;
}

const assignment = JSON.parse(process.argv[2] ?? '') as Assignment;
const { settings, keySets, userId } = assignment;
const kek = Buffer.from(assignment.kekBase64, 'base64');
// Audit lines are made as always and go nowhere: a pipe that is read on the same machine is no part of the service.
const log = jsonLog(() => {});
const deps = {
  settings,
  keyEncryptionKeys: {
    current: async () => ({ id: 'kek/1', key: kek }),
    byId: async (id: string) => (id === 'kek/1' ? kek : undefined),
  },
  addressBook: { userIdsOfAddress: async () => [userId] },
  keySetDocuments: { fetch: async (url: string) => ({ keys: keySets[url] ?? [], maxAgeMs: undefined }) },
  clock: systemClock,
  log,
  version: 'bench',
};
const handle = createKeyService(deps);

function server() {
  if (assignment.host === 'node') return nodeServer(handle, keyServiceEdge(deps));
  http('key-service', keyServiceFunction(deps));
  return getTestServer('key-service');
}

const listening = server();
listening.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (listening.address() as AddressInfo).port });
});

process.on('message', async (message: { usage?: true; raw?: RawWork; handler?: HandlerWork }) => {
  if (message.usage) process.send?.(usage());
  if (message.raw)
    process.send?.({ perCpuSecond: await perCpuSecond(rawOnce(message.raw), message.raw.forMs) });
  if (message.handler) {
    const { path, bodyText, forMs } = message.handler;
    const once = async () => {
      const body = Buffer.from(bodyText);
      const call = { method: 'POST', path, query: new URLSearchParams(), headers: {}, body };
      const { status } = await handle(call);
      if (status !== 200) throw new Error(`The key service answered ${status}.`);
    };
    process.send?.({ perCpuSecond: await perCpuSecond(once, forMs) });
  }
});
process.on('disconnect', () => process.exit());

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuMs: (user + system) / 1000, residentMb: process.memoryUsage.rss() / 1e6 };
}

function rawOnce(work: RawWork): () => Promise<void> {
  const der = Buffer.from(work.privateKeyDerBase64, 'base64');
  const read = () => createPrivateKey({ key: der, format: 'der', type: 'pkcs1' });
  const kept = read();
  const key = () => (work.key === 'kept' ? kept : read());
  const input = Buffer.from(work.inputBase64, 'base64');
  if (work.operation === 'sign') return async () => void sign('sha256', input, key());
  return async () => void privateDecrypt({ key: key(), padding: constants.RSA_PKCS1_PADDING }, input);
}

/** How often it is done in a second of this process's processor time. */
async function perCpuSecond(once: () => Promise<void>, forMs: number): Promise<number> {
  for (let warmUp = 0; warmUp < 20; warmUp += 1) await once();
  const before = usage().cpuMs;
  const started = performance.now();
  let count = 0;
  while (performance.now() - started < forMs) {
    await once();
    count += 1;
  }
  return (count * 1000) / (usage().cpuMs - before);
}
