/**
 * `npm run test:pubsub`: the event path over Google's own Pub/Sub emulator, where the Cloud SDK is installed. Starts
 * one emulator for all test files of this folder and stops it however the tests end.
 */
import { fileURLToPath } from 'node:url';
import { startVitest } from 'vitest/node';
import { type GooglePubSub, shareGooglePubSub, startGooglePubSub } from '../support/google-pubsub.ts';

// Without this the client looks for a metadata server, which costs seconds where there is none.
process.env['METADATA_SERVER_DETECTION'] = 'none';

let google: GooglePubSub | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void google?.stop().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
    if (google === undefined) process.exit(1);
  });
}

try {
  google = await startGooglePubSub();
  if (google === undefined)
    console.log(
      "Google's Pub/Sub emulator is not installed here (it comes with the Cloud SDK); its tests are skipped.",
    );
  else console.log(`Google's Pub/Sub emulator answers at ${google.host}.`);
  shareGooglePubSub(google);
  process.exitCode = await runTests();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
} finally {
  await google?.stop();
}

/** Runs the folder's tests and prints one closing line; answers the exit code. */
async function runTests(): Promise<number> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const vitest = await startVitest('test', [], {
    root,
    config: false,
    watch: false,
    include: ['test/pubsub/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    reporters: ['verbose'],
  });
  const tests = vitest.state
    .getTestModules()
    .flatMap((module) => [...module.children.allTests()].map((test) => test.result().state));
  const count = (state: string): number => tests.filter((one) => one === state).length;
  const broken =
    vitest.state.getUnhandledErrors().length +
    vitest.state.getTestModules().filter((one) => one.errors().length > 0).length;
  await vitest.close();
  console.log(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
  return count('failed') > 0 || broken > 0 || tests.length === 0 ? 1 : 0;
}
