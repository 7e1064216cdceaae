/** What the container starts: `node index.js`. Ends with exit code 1 and one line of log when it cannot serve. */
import { startKeyServer } from './serve.ts';

const tell = (severity: string, event: string, message?: string): void => {
  process.stdout.write(
    `${JSON.stringify({ severity, event, ...(message === undefined ? {} : { message }) })}\n`,
  );
};

/** A function and not top-level `await`: the bundle is CommonJS. */
export async function main(): Promise<void> {
  try {
    const running = await startKeyServer(process.env);
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        tell('INFO', 'stopping', signal);
        running.stop().then(
          () => tell('INFO', 'stopped'),
          (error: unknown) => {
            tell('ERROR', 'not-stopped', error instanceof Error ? error.message : String(error));
            process.exitCode = 1;
          },
        );
      });
    }
  } catch (error) {
    tell('CRITICAL', 'not-started', error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
