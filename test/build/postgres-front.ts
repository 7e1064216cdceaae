/**
 * An embedded ledger behind PostgreSQL's wire protocol, so that a process that only knows an address can use it. All
 * connections share one backend; good for one function with a handful of queries.
 * https://www.postgresql.org/docs/current/protocol-flow.html
 */
import { createServer, type Socket } from 'node:net';
import { PGlite } from '@electric-sql/pglite';
import { databaseOf } from '../../shared/adapters/ledger/embedded.ts';
import { migrate } from '../../shared/adapters/ledger/migrate.ts';
import { readSnapshot } from '../../shared/adapters/ledger/snapshot.ts';

const SSL_REQUEST = 80_877_103;
const AUTHENTICATION_OK = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]);
const READY_FOR_QUERY_IDLE = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);
const TERMINATE = 0x58;

export interface PostgresFront {
  readonly connectionString: string;
  close(): Promise<void>;
}

export async function startPostgresFront(): Promise<PostgresFront> {
  const backend = await PGlite.create({ loadDataDir: new Blob([readSnapshot()]) });
  await migrate(databaseOf(backend));
  const sockets = new Set<Socket>();
  let turn: Promise<unknown> = Promise.resolve();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    let waiting = Buffer.alloc(0);
    let started = false;
    socket.on('data', (chunk) => {
      waiting = Buffer.concat([waiting, chunk]);
      for (let message = takeMessage(); message !== undefined; message = takeMessage()) answer(message);
    });

    /** Messages of the start have no type byte before their length. */
    function takeMessage(): Buffer | undefined {
      const typeBytes = started ? 1 : 0;
      if (waiting.length < typeBytes + 4) return undefined;
      const length = typeBytes + waiting.readUInt32BE(typeBytes);
      if (waiting.length < length) return undefined;
      const message = waiting.subarray(0, length);
      waiting = waiting.subarray(length);
      if (started) return message;
      if (message.readUInt32BE(4) === SSL_REQUEST) socket.write('N');
      else {
        started = true;
        socket.write(Buffer.concat([AUTHENTICATION_OK, READY_FOR_QUERY_IDLE]));
      }
      return takeMessage();
    }

    function answer(message: Buffer): void {
      if (message[0] === TERMINATE) {
        socket.end();
        return;
      }
      turn = turn
        .then(async () => socket.write(await backend.execProtocolRaw(Uint8Array.from(message))))
        .catch((error: unknown) => socket.destroy(error instanceof Error ? error : undefined));
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The front has no port.');
  return {
    connectionString: `postgresql://postgres:none@127.0.0.1:${address.port}/postgres?sslmode=disable`,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
      await turn;
      await backend.close();
    },
  };
}
