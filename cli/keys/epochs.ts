import { z } from 'zod';
import { adminCommand } from '../admin/admin-command.ts';
import type { AdminClient } from '../admin/client.ts';
import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { table } from '../table.ts';
import { counted } from '../words.ts';

const service = z.looseObject({
  keyServiceUrl: z.string(),
  keypairs: z.number(),
  users: z.number(),
  moved: z.number(),
  disabledAfterMove: z.number(),
  refused: z.number(),
  from: z.string().optional(),
  until: z.string().optional(),
});
const services = z.looseObject({ keyServices: z.array(service) });
type Service = z.output<typeof service>;

const epoch = z.looseObject({
  primaryEmail: z.string(),
  serialHex: z.string(),
  keypairId: z.string(),
  from: z.string(),
  until: z.string(),
  refused: z.string().optional(),
});
const page = z.looseObject({ epochs: z.array(epoch), next: z.string().optional() });
type Epoch = z.output<typeof epoch>;

export const keysEpochs = adminCommand({
  name: 'keys epochs',
  summary: 'whose mail needs which key service: key pairs by service, and what is tied to an old one',
  operands: [],
  flags: {
    service: {
      kind: 'text',
      placeholder: 'URL',
      help: 'each key pair that is still tied to this key service, with the time of its mail',
    },
  },
  notes: [
    'An epoch is the time in which mail was encrypted to one Gmail key pair; it opens only while the key service of that pair is there.',
    'TIED is what would not open any more without that service. "sealwright keys move" moves it, where Gmail and the new service allow that.',
  ],
  async run(call, admin) {
    const url = call.text('service');
    if (url !== undefined) return await tiedTo(admin, url, call.terminal);
    const { keyServices } = await admin.read('v1/epochs', services);
    return {
      exitCode: EXIT.done,
      document: { keyServices },
      text: keyServices.length === 0 ? 'No key pair is recorded yet.' : serviceTable(keyServices),
    };
  },
});

async function tiedTo(admin: AdminClient, url: string, terminal: Parameters<typeof withProgress>[0]) {
  const epochs: Epoch[] = [];
  await withProgress(
    terminal,
    () => `${counted(epochs.length, 'key pair')} so far`,
    async () => {
      let after: string | undefined;
      do {
        const found = await admin.read('v1/epochs', page, { service: url, after });
        epochs.push(...found.epochs);
        after = found.next;
      } while (after !== undefined);
    },
  );
  const rows = table<Epoch>(
    [
      { title: 'USER', value: ({ primaryEmail }) => primaryEmail },
      { title: 'FROM', value: ({ from }) => from.slice(0, 10) },
      { title: 'UNTIL', value: ({ until }) => until.slice(0, 10) },
      { title: 'KEY PAIR', value: ({ keypairId }) => keypairId },
      { title: 'NOT MOVED BECAUSE', value: ({ refused }) => refused ?? '' },
    ],
    epochs,
  );
  return {
    exitCode: EXIT.done,
    document: { epochs },
    text: epochs.length === 0 ? `Nothing is tied to ${url} any more.` : rows,
  };
}

const number = (value: number): string => value.toLocaleString('en-US');
const serviceTable = (rows: readonly Service[]): string =>
  table<Service>(
    [
      { title: 'KEY SERVICE', value: ({ keyServiceUrl }) => keyServiceUrl },
      { title: 'KEY PAIRS', value: ({ keypairs }) => number(keypairs) },
      { title: 'USERS', value: ({ users }) => number(users) },
      { title: 'MOVED AWAY', value: ({ moved }) => number(moved) },
      { title: 'OF THESE DISABLED', value: ({ disabledAfterMove }) => number(disabledAfterMove) },
      { title: 'REFUSED', value: ({ refused }) => number(refused) },
      { title: 'TIED', value: ({ keypairs, moved }) => number(keypairs - moved) },
      { title: 'SINCE', value: ({ from }) => from?.slice(0, 10) ?? '' },
      { title: 'UNTIL', value: ({ until }) => until?.slice(0, 10) ?? '' },
    ],
    rows,
  );
