import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { type AddressHistoryEntries, signAddressFeed } from '../../shared/kacls/address-feed.ts';
import { adminCommand } from '../admin/admin-command.ts';
import type { AdminClient } from '../admin/client.ts';
import { EXIT } from '../exit-codes.ts';
import { CommandFailure } from '../failure.ts';
import { withProgress } from '../progress.ts';
import type { Terminal } from '../terminal.ts';
import { counted } from '../words.ts';

/**
 * Run by the customer's own scheduler, beside a key service that has no ledger. The key is the customer's and stays there:
 * neither Google nor the functions can make a feed.
 */
export const keysFeed = adminCommand({
  name: 'keys feed',
  summary: 'signs the address history of all users for a key service outside Google Cloud',
  operands: [],
  flags: {
    key: { kind: 'text', placeholder: 'FILE', help: 'private key, PEM: Ed25519 or EC P-256' },
    tenant: { kind: 'text', placeholder: 'ID', help: 'the key service’s tenant' },
    out: { kind: 'text', placeholder: 'FILE', help: 'where the feed is written, whole or not at all' },
  },
  notes: [
    'Make a key with: openssl genpkey -algorithm ed25519 -out feed.key && openssl pkey -in feed.key -pubout -out feed.pub',
    'Run it every few minutes; the key service reads the file itself or fetches it (docs/key-service.md, "Outside Google Cloud").',
  ],
  async run(call, admin) {
    const [keyFile, tenantId, out] = ['key', 'tenant', 'out'].map((flag) => {
      const value = call.text(flag);
      if (value === undefined)
        throw new CommandFailure('usage', `--${flag} is missing.`, { exitCode: EXIT.usage });
      return value;
    }) as [string, string, string];
    const key = readKey(keyFile);
    const people = await allPeople(admin, call.terminal);
    const feed = await signAddressFeed(people, { tenantId, key, now: new Date() });
    const half = `${out}.${process.pid}.tmp`;
    writeFileSync(half, `${feed}\n`, { mode: 0o644 });
    renameSync(half, out);
    const publicKey = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
    return {
      exitCode: EXIT.done,
      document: { out, users: people.length, publicKey },
      text: `The addresses of ${counted(people.length, 'user')} are in ${out}.`,
    };
  },
});

function readKey(file: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(file));
  } catch {
    // OpenSSL's own words, or the system's, say less than this.
    throw new CommandFailure('usage', `${file} cannot be read as an unencrypted private key in PEM.`, {
      exitCode: EXIT.usage,
    });
  }
}

async function allPeople(admin: AdminClient, terminal: Terminal): Promise<AddressHistoryEntries> {
  const people: (readonly [string, readonly string[]])[] = [];
  return await withProgress(
    terminal,
    () => `${counted(people.length, 'user')} read`,
    async () => {
      for await (const page of admin.addressPages()) {
        people.push(...page.map(({ userId, addresses }) => [userId, addresses] as const));
      }
      return people;
    },
  );
}
