/**
 * The key service as a process of its own, for a host outside Google Cloud: the same handler as the function on Node's own
 * server, with TLS here or in front, health and readiness, and an orderly end.
 */
import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { parseSettings, type Settings } from '../../shared/config/settings.ts';
import { invalidInput } from '../../shared/errors.ts';
import { composeKeyServer } from '../compose/key-server.ts';
import { createKeyService, keyServiceEdge } from '../key-service.ts';
import { nodeServer, type TlsMaterial } from '../wire/node-server.ts';
import { withHealth } from './health.ts';

/** How long requests under way may take to end after SIGTERM. */
const GRACE_MS = 10_000;
/** A renewed certificate is taken up this soon. */
const CERTIFICATE_LOOK_MS = 10 * 60_000;
const FEED_LOOK_MS = 5 * 60_000;

export interface RunningKeyServer {
  readonly port: number;
  /** Takes no new connections, lets requests under way end, closes what is behind. */
  stop(): Promise<void>;
}

/** Throws `settings-invalid` for settings that do not fit, and whatever keeps the parts behind it from starting. */
export async function startKeyServer(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<RunningKeyServer> {
  const settings = parseSettings(environment);
  const tls = readTls(settings);
  const { deps, checks, facts, refreshFeed, close } = await composeKeyServer(settings);
  let server: Server;
  try {
    const handler = withHealth(createKeyService(deps), { checks, facts, clock: deps.clock });
    server = nodeServer(handler, keyServiceEdge(deps), tls);
    await listening(server, settings.PORT);
  } catch (error) {
    // An open ledger would keep the process from ending.
    await close();
    throw error;
  }
  const timers = [
    setInterval(() => void refreshFeed(), FEED_LOOK_MS),
    setInterval(() => followCertificate(server, settings, deps.log), CERTIFICATE_LOOK_MS),
  ];
  for (const timer of timers) timer.unref();
  const { port } = server.address() as AddressInfo;
  deps.log.info('listening', { port, tls: tls !== undefined, baseUrl: deps.settings.baseUrl });

  return {
    port,
    async stop() {
      for (const timer of timers) clearInterval(timer);
      const ended = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const impatient = setTimeout(() => server.closeAllConnections(), GRACE_MS);
      await ended;
      clearTimeout(impatient);
      await close();
    },
  };
}

const listening = (server: Server, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => resolve());
  });

/** Both files or none: without them, TLS ends in front of this process. */
function readTls(settings: Settings): TlsMaterial | undefined {
  const { SEALWRIGHT_TLS_CERTIFICATE_FILE: certificate, SEALWRIGHT_TLS_KEY_FILE: key } = settings;
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined || key === undefined) {
    throw invalidInput(
      'settings-invalid',
      'SEALWRIGHT_TLS_CERTIFICATE_FILE and SEALWRIGHT_TLS_KEY_FILE go together; one of them is missing.',
    );
  }
  try {
    return { certificateChain: readFileSync(certificate, 'utf8'), privateKey: readFileSync(key, 'utf8') };
  } catch (error) {
    throw invalidInput('settings-invalid', 'The TLS certificate or its key cannot be read.', {
      cause: error,
    });
  }
}

/** A certificate that cannot be read, or does not fit its key, leaves the one in use in its place. */
function followCertificate(
  server: Server,
  settings: Settings,
  log: { error(event: string, fields: Readonly<Record<string, unknown>>): void },
): void {
  if (!(server instanceof TlsServer)) return;
  try {
    const tls = readTls(settings);
    if (tls === undefined) return;
    server.setSecureContext({
      minVersion: 'TLSv1.2',
      cert: tls.certificateChain,
      key: tls.privateKey,
    });
  } catch (error) {
    log.error('certificate-not-renewed', { message: error instanceof Error ? error.message : String(error) });
  }
}
