import fc from 'fast-check';
import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { copyOut } from '../../shared/adapters/ledger/copy-out.ts';

/** https://www.postgresql.org/docs/15/sql-copy.html, "Binary Format": signature, flags, extension, then the rows of one column. */
function copied(values: readonly (Buffer | null)[]): Buffer {
  const row = (value: Buffer | null) => {
    const head = Buffer.from([0, 1, 0, 0, 0, 0]);
    head.writeInt32BE(value === null ? -1 : value.length, 2);
    return value === null ? head : Buffer.concat([head, value]);
  };
  const header = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
  return Buffer.concat([header, ...values.map(row), Buffer.from([0xff, 0xff])]);
}

/** What a statement sends in these messages, the memory of which the connection uses again for the next. */
async function told(messages: readonly Buffer[], take: (value: Uint8Array) => void): Promise<void> {
  let copy: { handleCopyData: (message: object) => void; handleReadyForQuery: () => void } | undefined;
  const client = { query: (submitted: typeof copy) => (copy = submitted) } as unknown as pg.ClientBase;
  const done = copyOut(client, 'SELECT value FROM somewhere', take);
  const memory = Buffer.alloc(Math.max(0, ...messages.map(({ length }) => length)));
  for (const message of messages) {
    message.copy(memory);
    copy?.handleCopyData({ chunk: memory.subarray(0, message.length) });
    memory.fill(0xee);
  }
  copy?.handleReadyForQuery();
  await done;
}

describe('values copied out of the database', () => {
  it('are the same however the server cuts what it sends into messages', async () => {
    const value = fc.option(fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)));
    await fc.assert(
      fc.asyncProperty(
        fc.array(value),
        fc.infiniteStream(fc.integer({ min: 1, max: 60 })),
        async (values, cuts) => {
          const all = copied(values);
          const messages: Buffer[] = [];
          for (let at = 0; at < all.length; ) {
            const length: number = cuts.next().value;
            messages.push(all.subarray(at, at + length));
            at += length;
          }
          const found: Buffer[] = [];
          await told(messages, (each) => found.push(Buffer.from(each)));
          expect(found).toEqual(values.filter((each) => each !== null));
        },
      ),
    );
  });

  it('end with what the first one to whom a value is given throws, who is given none after it', async () => {
    const given: number[] = [];
    const values = [1, 2, 3].map((byte) => Buffer.from([byte]));
    const reading = told([copied(values)], ([byte = 0]) => {
      given.push(byte);
      if (byte === 2) throw new Error('enough');
    });
    await expect(reading).rejects.toThrow('enough');
    expect(given).toEqual([1, 2]);
  });
});
