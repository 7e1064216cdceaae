import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { openPostgresLedger } from '../../shared/adapters/ledger/open.ts';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';

const clock = { now: () => new Date('2027-03-01T09:00:00Z') };

/** Every error here must be one that lets the event be delivered again, and must not show the password. */
const rejection = async (promise: Promise<unknown>): Promise<unknown> => {
  const error = await promise.then(
    () => {
      throw new Error('expected a rejection');
    },
    (reason: unknown) => reason,
  );
  expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter2');
  return error;
};

const unavailable = expect.objectContaining({ kind: 'retryable', code: 'ledger-unavailable' });

describe('a ledger whose PostgreSQL cannot be reached', () => {
  let server: Server | undefined;
  afterEach(async () => {
    if (server?.listening !== true) return;
    server.close();
    await once(server, 'close');
  });

  const listen = async (answer: (socket: Socket) => void): Promise<number> => {
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      answer(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the server has no port');
    return address.port;
  };
  const urlAt = (port: number) => `postgresql://sealwright:hunter2@127.0.0.1:${port}/ledger`;

  it('says that it may pass when nothing answers', async () => {
    const port = await listen(() => undefined);
    server?.close();
    expect(await rejection(openPostgresLedger({ connectionString: urlAt(port), clock }))).toEqual(
      unavailable,
    );
  });

  it('says that it may pass when its Unix socket is not there', async () => {
    const connectionString = 'postgresql://sealwright:hunter2@localhost/ledger?host=/nowhere/at-all';
    expect(await rejection(openPostgresLedger({ connectionString, clock }))).toEqual(unavailable);
  });

  it('says that it may pass when the server hangs up', async () => {
    const port = await listen((socket) => socket.destroy());
    expect(await rejection(openPostgresLedger({ connectionString: urlAt(port), clock }))).toEqual(
      unavailable,
    );
  });

  it('says that it may pass when the server has no TLS but TLS is asked for', async () => {
    const port = await listen((socket) => socket.once('data', () => socket.end('N')));
    const connectionString = `${urlAt(port)}?sslmode=verify-full`;
    expect(await rejection(openPostgresLedger({ connectionString, clock }))).toEqual(unavailable);
  });

  it('says that it may pass when a login token cannot be had', async () => {
    const port = await listen((socket) => socket.once('data', () => socket.write(cleartextPasswordRequest)));
    const database = openPostgres({
      connectionString: `postgresql://sealwright@127.0.0.1:${port}/ledger`,
      password: async () => {
        throw new Error('the metadata server is away, hunter2');
      },
    });
    expect(await rejection(database.query('SELECT 1'))).toEqual(unavailable);
    await database.close();
  });

  it('logs in with a fresh token for each connection', async () => {
    const passwords: string[] = [];
    const port = await listen((socket) => {
      socket.once('data', () => {
        socket.write(cleartextPasswordRequest);
        socket.once('data', (message) => {
          // 'p', four bytes of length, the password, a zero byte.
          passwords.push(message.toString('utf8', 5, message.length - 1));
          socket.destroy();
        });
      });
    });
    let drawn = 0;
    const database = openPostgres({
      connectionString: `postgresql://sealwright@127.0.0.1:${port}/ledger`,
      password: async () => {
        drawn += 1;
        return `token-${drawn}`;
      },
    });
    for (let attempt = 0; attempt < 2; attempt += 1) {
      expect(await rejection(database.query('SELECT 1'))).toEqual(unavailable);
    }
    await database.close();
    expect(passwords).toEqual(['token-1', 'token-2']);
  });

  it.each([
    'postgresql://sealwright:hunter2@host:port/ledger',
    'postgresql://sealwright:hunter2@[::1/ledger',
  ])('says what to write instead of a connection string that cannot be read', async (connectionString) => {
    expect(await rejection(openPostgresLedger({ connectionString, clock }))).toMatchObject({
      kind: 'permanent',
      code: 'settings-invalid',
      message: expect.stringContaining('postgresql://USER:PASSWORD@HOST:PORT/DATABASE'),
    });
  });
});

/** AuthenticationCleartextPassword, PostgreSQL protocol 3.0. */
const cleartextPasswordRequest = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);
