import { randomBytes } from 'node:crypto';
import type { EmulatorContext } from '../core/context.ts';
import type { Account } from '../core/rooms.ts';

export interface StoredMessage {
  /** Base64 of the RFC 5322 message. */
  readonly raw: string;
  /** When Gmail took it in, RFC 3339. */
  readonly arrivedAt: string;
}

interface MailState {
  readonly messages: Record<string, StoredMessage>;
  /** Message ids by account id, oldest first. */
  readonly boxes: Record<string, string[]>;
  /** Certificates of people outside the domain, base64 DER by lower-case address. */
  readonly contacts: Record<string, string>;
}

/** The messages of each account, by its immutable id. A message to several people is kept once, under one id. */
export class Mailboxes {
  readonly #context: EmulatorContext;
  readonly #state: MailState;

  constructor(context: EmulatorContext) {
    this.#context = context;
    this.#state = context.state.section('mail', () => ({ messages: {}, boxes: {}, contacts: {} }));
  }

  /** Puts the message into each box and answers its id, 16 hex digits as Gmail's. It arrives now unless told. */
  deliver(raw: Buffer, boxes: readonly Account[], arrivedAt = this.#context.clock.now()): string {
    const id = randomBytes(8).toString('hex');
    this.#state.messages[id] = {
      raw: raw.toString('base64'),
      arrivedAt: arrivedAt.toISOString(),
    };
    for (const accountId of new Set(boxes.map((account) => account.id))) {
      const box = this.#state.boxes[accountId] ?? [];
      box.push(id);
      this.#state.boxes[accountId] = box;
    }
    this.#context.state.changed();
    return id;
  }

  ids(account: Account): readonly string[] {
    return this.#state.boxes[account.id] ?? [];
  }

  /** Undefined when this account has no such message. */
  find(account: Account, id: string): { raw: Buffer; arrivedAt: Date } | undefined {
    const message = this.ids(account).includes(id) ? this.#state.messages[id] : undefined;
    if (message === undefined) return undefined;
    return { raw: Buffer.from(message.raw, 'base64'), arrivedAt: new Date(message.arrivedAt) };
  }

  contact(address: string): Buffer | undefined {
    const der = this.#state.contacts[address.toLowerCase()];
    return der === undefined ? undefined : Buffer.from(der, 'base64');
  }

  addContact(address: string, der: Buffer): void {
    this.#state.contacts[address.toLowerCase()] = der.toString('base64');
    this.#context.state.changed();
  }
}
