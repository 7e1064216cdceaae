/** A process that works on user 1 in the ledger folder it is given, says so, and goes on until it is killed. */
import { openEmbeddedLedger } from '../../shared/adapters/ledger/open.ts';

const [folder = ''] = process.argv.slice(2);
const ledger = await openEmbeddedLedger({ clock: { now: () => new Date() }, folder });
const lease = await ledger.acquireLease('user:1', 3_600_000);
if (lease === undefined) throw new Error('somebody else works on user 1');
await ledger.recordSighting(lease, { userId: '1', primaryEmail: 'ada@acme.example', aliases: [] });
console.log('working');
setInterval(() => undefined, 60_000);
