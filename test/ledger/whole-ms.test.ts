import { expect, it } from 'vitest';
import { wholeMs } from '../../shared/adapters/ledger/columns.ts';
import { openEmbedded } from '../../shared/adapters/ledger/embedded.ts';

it('an instant in SQL is the whole milliseconds that exact arithmetic gives, at any microsecond', async () => {
  const database = await openEmbedded();
  // Microseconds around a millisecond, every twelve days from 1970 to 2104.
  const [row] = await database.query<{ seen: number; wrong: number }>(
    `SELECT count(*)::int AS seen,
            (count(*) FILTER (WHERE ${wholeMs('at')} IS DISTINCT FROM floor(extract(epoch FROM at) * 1000)::float8))::int AS wrong
       FROM generate_series(0, 3999) AS i,
            generate_series(-2, 2) AS us,
            LATERAL (SELECT timestamptz '1970-01-02T00:00:00Z' + i * interval '12 days 06:03:05.001'
                            + us * interval '1 microsecond' AS at) AS instants`,
  );
  expect(row).toEqual({ seen: 20_000, wrong: 0 });
  await database.close();
});
