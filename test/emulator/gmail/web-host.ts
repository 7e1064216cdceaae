import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HostNames } from '../../../emulator/core/rooms.ts';

/** A loopback web server that stands for public host names, and answers what `handler` says. */
export class WebHost implements HostNames {
  readonly #server: Server;
  readonly #names: ReadonlySet<string>;

  private constructor(server: Server, names: readonly string[]) {
    this.#server = server;
    this.#names = new Set(names);
  }

  static async open(names: readonly string[], handler: RequestListener): Promise<WebHost> {
    const server = createServer(handler);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new WebHost(server, names);
  }

  resolve(url: URL): URL | undefined {
    if (!this.#names.has(url.hostname)) return undefined;
    const target = new URL(url);
    target.protocol = 'http:';
    target.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return target;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
