import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { FunctionsOrder, FunctionsReport } from './functions-process.ts';

type Ready = Extract<FunctionsReport, { kind: 'ready' }>;

export interface Supervisor {
  /** The process id of the functions now; changes when they are started again. */
  pid(): number;
  readonly ready: Ready;
  /** Called after each restart that reached `ready`. */
  onRestart(listener: (pid: number) => void): void;
  stop(): Promise<void>;
}

/** As the launcher of the command line keeps it: a process that starts again does not compile again. */
const COMPILED = fileURLToPath(new URL('../node_modules/.cache/sealwright', import.meta.url));

const RESTART_DELAY_MS = 100;
const MAX_RESTART_DELAY_MS = 5_000;

/**
 * Runs the functions in a process of their own and starts it again whenever it ends, a little later each time it
 * fails before it was ready. Their log lines go to a file. Rejects when the very first start fails.
 */
export async function superviseFunctions(order: FunctionsOrder, logFile: string): Promise<Supervisor> {
  // They write there themselves: a line that came through a pipe would be read and written once more.
  const log = openSync(logFile, 'a');
  const restartListeners: ((pid: number) => void)[] = [];
  let child: ChildProcess;
  let ended: Promise<void> = Promise.resolve();
  let stopping = false;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;

  const launch = (): Promise<Ready> => {
    child = fork(fileURLToPath(new URL('./functions-process.ts', import.meta.url)), {
      stdio: ['ignore', log, log, 'ipc'],
      env: {
        NODE_COMPILE_CACHE: COMPILED,
        ...process.env,
        ...googleClientEnvironment(order),
        NODE_ENV: 'production',
      },
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    const started = child;
    const lifetime = (event: string, fields: Readonly<Record<string, unknown>>) =>
      writeSync(log, `${JSON.stringify({ severity: 'INFO', event, pid: started.pid, ...fields })}\n`);
    lifetime('functions-started', {});
    // Nothing more comes of this process: the line ends its part of the log.
    ended = new Promise((resolve) => {
      started.once('close', (code, signal) => {
        lifetime('functions-ended', { code, signal });
        resolve();
      });
    });
    started.send(order);
    return new Promise((resolve, reject) => {
      started.once('message', (report: FunctionsReport) => {
        if (report.kind === 'ready') {
          failures = 0;
          resolve(report);
        } else reject(new Error(report.message));
      });
      started.once('exit', (code, signal) => {
        reject(new Error(`The functions ended before they were ready (${signal ?? code}); see ${logFile}.`));
      });
    });
  };

  const watch = (): void => {
    child.once('exit', () => {
      if (stopping) return;
      const delayMs = Math.min(RESTART_DELAY_MS * 2 ** failures, MAX_RESTART_DELAY_MS);
      timer = setTimeout(restart, delayMs);
    });
  };

  const restart = (): void => {
    failures += 1;
    const started = launch();
    watch();
    started.then(
      () => {
        for (const listener of restartListeners) listener(child.pid ?? 0);
      },
      (error: unknown) => {
        writeSync(
          log,
          `${JSON.stringify({ severity: 'ERROR', event: 'functions-not-started', message: String(error) })}\n`,
        );
      },
    );
  };

  const first = launch();
  const ready = await first;
  watch();
  return {
    pid: () => child.pid ?? 0,
    ready,
    onRestart: (listener) => restartListeners.push(listener),
    async stop() {
      stopping = true;
      clearTimeout(timer);
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await ended;
      closeSync(log);
    },
  };
}

/** Google's clients find the metadata server, and through it their credentials, exactly as they do in the cloud. */
function googleClientEnvironment({ local }: FunctionsOrder): Record<string, string> {
  return {
    GCE_METADATA_HOST: `127.0.0.1:${local.portBase}`,
    METADATA_SERVER_DETECTION: 'assume-present',
    GOOGLE_CLOUD_PROJECT: 'acme-sealwright',
  };
}
