/** `npm start`: keeps the whole system up on loopback until it is told to end. */

import { parseStartFlags, UsageError } from './flags.ts';
import { createSampleUsers } from './sample-users.ts';
import { type System, startSystem } from './system.ts';

const say = (text: string) => process.stderr.write(`${text}\n`);

async function main(): Promise<void> {
  const flags = parseStartFlags(process.argv.slice(2));
  const startedMs = performance.now();
  const alive = setInterval(() => say('… still starting'), 2_000);
  const starting = startSystem(flags, say);
  const isEnding = endOnSignals(starting);
  let system: System;
  try {
    system = await starting;
  } finally {
    clearInterval(alive);
  }
  if (isEnding()) return;
  if (!flags.empty) await createSampleUsers(system.ready);
  system.onFunctionsRestart((pid) => say(`The functions ended and were started again (pid ${pid}).`));
  const { google, admin, keyService, crl } = system.ready;
  say(`Up after ${((performance.now() - startedMs) / 1000).toFixed(1)} s.`);
  say(`  Google's APIs     ${google}`);
  say(`  admin API         ${admin}`);
  say(`  key service       ${keyService}`);
  say(`  CRL and issuers   ${crl}`);
  say(`  functions' log    ${system.logFile}`);
  say('End it with Ctrl-C; the next start continues from here.');
  process.stdout.write(`${JSON.stringify(system.ready)}\n`);
}

/** Also while it still starts: then it ends as soon as there is something to end. Answers whether it is ending. */
function endOnSignals(starting: Promise<System>): () => boolean {
  let ending = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (ending) return;
      ending = true;
      say('Ending…');
      starting
        .then((system) => system.stop())
        .then(
          () => process.exit(0),
          (error: unknown) => {
            say(`It did not end cleanly: ${error instanceof Error ? error.message : String(error)}`);
            process.exit(1);
          },
        );
    });
  }
  return () => ending;
}

main().catch((error: unknown) => {
  say(error instanceof Error ? error.message : String(error));
  process.exit(error instanceof UsageError ? 2 : 1);
});
