/**
 * What the emulator's rooms offer each other. A room imports these interfaces, never another room: the wiring is in
 * `emulator/emulator.ts` alone.
 */
import type { Route } from './route.ts';

/** A Workspace account as other rooms see it. Addresses are lower case. */
export interface Account {
  readonly id: string;
  readonly primaryEmail: string;
  readonly aliases: readonly string[];
  readonly orgUnitPath: string;
  readonly suspended: boolean;
  readonly archived: boolean;
  /** False until the mailbox has been made. */
  readonly mailboxReady: boolean;
  readonly superAdmin: boolean;
}

export type AccountChange = 'add' | 'update' | 'delete' | 'undelete' | 'makeAdmin';

/** The directory, as the token endpoint, Gmail and the key service's stand-ins look people up. */
export interface Accounts {
  /** A living account by primary address or alias, without regard to case. */
  byAddress(address: string): Account | undefined;
  byId(id: string): Account | undefined;
  /** Accounts deleted in the last 20 days, by the address they had. */
  deletedByAddress(address: string): Account | undefined;
  onChange(listener: (change: AccountChange, account: Account) => void): void;
}

/** Publishing into a topic, as Google's own services do it. `topic` is a full name, `projects/P/topics/T`. */
export interface Publisher {
  /** Answers the message id; throws 404 when the topic does not exist. */
  publish(
    topic: string,
    message: { data: Buffer; attributes?: Readonly<Record<string, string>>; orderingKey?: string },
  ): string;
}

/** Tokens signed by issuers that the emulator stands in for. Times follow the emulator's clock. */
export interface IdTokens {
  /** A signed JWT by one of the issuers, RS256; `claims` are added to iss, iat and exp (one hour unless given). */
  mint(issuer: string, claims: Readonly<Record<string, unknown>>): Promise<string>;
  /** Verifies signature, issuer, audience and expiry of a Google ID token; answers its claims or throws 401. */
  verifyGoogle(token: string, audience: string): Promise<Readonly<Record<string, unknown>>>;
}

/** Where public host names really are on this machine: `pki.acme.example` → `http://127.0.0.1:8604`. */
export interface HostNames {
  /** The loopback address to ask instead; undefined when nothing answers to that name. */
  resolve(url: URL): URL | undefined;
}

/** Rooms with work in flight tell `drain` about it. */
export interface Busy {
  /** What is still under way, in words, one entry each; empty when quiet. */
  pending(): readonly string[];
}

export interface Room {
  readonly routes: readonly Route[];
}
