import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request a push endpoint got. */
export interface Push {
  readonly headers: IncomingHttpHeaders;
  readonly body: {
    readonly message: {
      readonly data?: string;
      readonly attributes?: Readonly<Record<string, string>>;
      readonly messageId: string;
      readonly message_id: string;
      readonly publishTime: string;
      readonly publish_time: string;
      readonly orderingKey?: string;
    };
    readonly subscription: string;
    readonly deliveryAttempt?: number;
  };
  /** The message data as text. */
  readonly text: string;
}

/** What to do with a push: a status to answer, or anything at all with the response. */
export type Reaction = number | ((response: ServerResponse) => void);

/** A push endpoint on a free loopback port that remembers what it got and answers as it is told. */
export class PushReceiver {
  readonly pushes: Push[] = [];
  /** Decides for each push; 204 for all unless set. */
  react: (push: Push) => Reaction | Promise<Reaction> = () => 204;
  readonly #server: Server;
  #port = 0;

  constructor() {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Push['body'];
      const text = Buffer.from(body.message.data ?? '', 'base64').toString('utf8');
      const push = { headers: request.headers, body, text };
      this.pushes.push(push);
      const reaction = await this.react(push);
      if (typeof reaction === 'function') reaction(response);
      else response.writeHead(reaction).end();
    });
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  url(path = '/push'): string {
    return `http://127.0.0.1:${this.#port}${path}`;
  }

  get texts(): readonly string[] {
    return this.pushes.map((push) => push.text);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
