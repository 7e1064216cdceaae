/**
 * The admin API over HTTP. Every failure becomes one sentence that says what to do; nothing here prints.
 *
 * The ID token travels twice: in `X-Serverless-Authorization` for Cloud Run's IAM, which strips the signature there, and
 * in `Authorization`, which then reaches the function whole. https://cloud.google.com/run/docs/authenticating/service-to-service
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import type { ChainEndDocument, CheckpointDocument, EntryDocument } from '../../shared/audit/document.ts';
import { chainEndPage, checkpointPage, entryPage } from '../audit/documents.ts';
import { CommandFailure } from '../failure.ts';
import {
  type AuditPage,
  addressPage,
  auditPage,
  type CertificateChain,
  certificateChain,
  type DeviceView,
  deviceView,
  type ExplanationView,
  explanation,
  type JobView,
  jobView,
  keyProofPage,
  type LintPage,
  lintPage,
  rekeyAccepted,
  rekeyForecast,
  type UserSummary,
  type UserView,
  userPage,
  userView,
  wrappedKeyCounts,
} from './answers.ts';
import type { Connection } from './connection.ts';
import { AnswerLost, Faltering, refusal, unreachable } from './refusal.ts';

const REQUEST_TIMEOUT_MS = 60_000;
const POLICY_TIMEOUT_MS = 600_000;
const READ_ATTEMPTS = 3;
const LONGEST_WAIT_MS = 20_000;
/** The API's largest page is 5,000; a page of users is read with all their certificates, so smaller ones answer sooner. */
const PAGE = 1_000;
/** A certificate takes the function a few milliseconds. */
const LINT_PAGE = 200;

const REKEY_SHOWN = '"sealwright audit" shows a "rekey-requested"';

export interface RekeyWish {
  readonly users?: readonly string[];
  readonly orgUnit?: string;
  readonly group?: string;
  readonly issuer?: string;
  readonly all?: true;
  readonly reason: string;
  readonly invalidityDate?: string;
  readonly confirmUsers?: number;
  readonly disableKeypairs?: true;
}

export class AdminClient {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Every user the ledger knows, page by page. */
  async *userPages(): AsyncGenerator<readonly UserSummary[]> {
    let after: string | undefined;
    do {
      const page = await this.read('v1/users', userPage, { limit: PAGE, after });
      yield page.users;
      after = page.next;
    } while (after !== undefined);
  }

  /** By address, present or former, or by immutable id. */
  user(name: string): Promise<UserView> {
    return this.read(`v1/users/${encodeURIComponent(name)}`, userView);
  }

  wrappedKeys(): Promise<z.output<typeof wrappedKeyCounts>> {
    return this.read('v1/keys', wrappedKeyCounts);
  }

  /** A page of unproven keys; asked again, those that were proven meanwhile are left out. */
  proveKeys(run: {
    readonly keyService: string;
    readonly authentication: string;
    readonly after: string | undefined;
  }): Promise<z.output<typeof keyProofPage>> {
    return this.#postAgain('v1/keys/prove', run, keyProofPage);
  }

  /** Everybody with every address they have or had, page by page. */
  async *addressPages(): AsyncGenerator<readonly { userId: string; addresses: string[] }[]> {
    let after: string | undefined;
    do {
      const page = await this.read('v1/addresses', addressPage, { after });
      yield page.people;
      after = page.next;
    } while (after !== undefined);
  }

  /** What happened to a user, in sentences. */
  explanation(name: string): Promise<ExplanationView> {
    return this.read(`v1/users/${encodeURIComponent(name)}/explain`, explanation);
  }

  job(id: string): Promise<JobView> {
    return this.read(`v1/jobs/${encodeURIComponent(id)}`, jobView);
  }

  /** Entries in the order of writing, page by page, with their users' addresses if asked for; `limit` counts over all pages. */
  async *auditPages(filter: {
    readonly user?: string | undefined;
    readonly after?: string | undefined;
    readonly limit?: number | undefined;
    readonly addresses: boolean;
  }): AsyncGenerator<AuditPage> {
    let { after } = filter;
    let left = filter.limit ?? Number.POSITIVE_INFINITY;
    while (left > 0) {
      const page = await this.read('v1/audit', auditPage, {
        limit: Math.min(PAGE, left),
        user: filter.user,
        after,
        addresses: filter.addresses ? 'true' : undefined,
      });
      yield page;
      left -= page.entries.length;
      if (page.next === undefined) return;
      after = page.next;
    }
  }

  /** One certificate with the chain above it. */
  certificate(serial: string): Promise<CertificateChain> {
    return this.read(`v1/certificates/${encodeURIComponent(serial)}`, certificateChain);
  }

  /** Every certificate that has not expired, judged by the function's linter, page by page; the CAs with the first. */
  async *lintPages(): AsyncGenerator<LintPage> {
    let after: string | undefined;
    do {
      const page = await this.read('v1/lint', lintPage, { limit: LINT_PAGE, after });
      yield page;
      after = page.next;
    } while (after !== undefined);
  }

  /** Asks for a certificate over a device's key; the same request again answers the same device. */
  requestDevice(wish: {
    readonly user: string;
    readonly device: string;
    /** PKCS#10, DER, base64. */
    readonly request: string;
  }): Promise<DeviceView> {
    return this.#postAgain('v1/devices', wish, deviceView);
  }

  device(id: string): Promise<DeviceView> {
    return this.read(`v1/devices/${encodeURIComponent(id)}`, deviceView);
  }

  /** Again is done already. */
  revokeDevice(id: string, reason: string): Promise<DeviceView> {
    return this.#postAgain(`v1/devices/${encodeURIComponent(id)}/revoke`, { reason }, deviceView);
  }

  /** The audit trail whole, with its links, page by page. */
  async *auditDocuments(user: string | undefined): AsyncGenerator<readonly EntryDocument[]> {
    let after: string | undefined;
    do {
      const page = await this.read('v1/audit', entryPage, { limit: PAGE, user, after });
      yield page.entries;
      after = page.next;
    } while (after !== undefined);
  }

  async *chainEndPages(): AsyncGenerator<readonly ChainEndDocument[]> {
    let after: string | undefined;
    do {
      const page = await this.read('v1/audit/chains', chainEndPage, { limit: PAGE, after });
      yield page.chains;
      after = page.next;
    } while (after !== undefined);
  }

  async *checkpointPages(): AsyncGenerator<readonly CheckpointDocument[]> {
    let after: string | undefined;
    do {
      const page = await this.read('v1/audit/checkpoints', checkpointPage, { limit: PAGE, after });
      yield page.checkpoints;
      after = page.next;
    } while (after !== undefined);
  }

  /** Asks for new keys; answers the job's id. Never repeated: a lost answer may hide a job that was recorded. */
  rekey(wish: RekeyWish): Promise<z.output<typeof rekeyAccepted>> {
    return this.post('v1/rekey', { ...wish, dryRun: false }, rekeyAccepted, REKEY_SHOWN);
  }

  /** Whom `rekey` would touch. */
  rekeyForecast(wish: RekeyWish): Promise<z.output<typeof rekeyForecast>> {
    return this.post('v1/rekey', { ...wish, dryRun: true }, rekeyForecast, REKEY_SHOWN);
  }

  /** One of the questions about a policy; comparing everybody may take minutes. */
  async policy<T>(
    what: 'check' | 'what-if' | 'test' | 'activate',
    body: Readonly<Record<string, unknown>>,
    shape: z.ZodType<T>,
  ): Promise<T> {
    try {
      return await this.#request('POST', `v1/policy/${what}`, JSON.stringify(body), shape, POLICY_TIMEOUT_MS);
    } catch (error) {
      if (what !== 'activate' || !(error instanceof AnswerLost)) throw error;
      throw new CommandFailure(
        'answer-lost',
        `${error.message} Whether the policy was put in force is not known; "sealwright audit" shows a "policy-activated" if it was.`,
        { cause: error },
      );
    }
  }

  /** Any path of the API; repeated when the API falters. */
  async read<T>(
    path: string,
    shape: z.ZodType<T>,
    query: Readonly<Record<string, string | number | undefined>> = {},
  ): Promise<T> {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) parameters.set(name, String(value));
    const target = parameters.size === 0 ? path : `${path}?${parameters}`;
    return await this.#patiently(() => this.#request('GET', target, undefined, shape));
  }

  /** For what may be said twice. */
  async #postAgain<T>(path: string, body: unknown, shape: z.ZodType<T>): Promise<T> {
    return await this.#patiently(() => this.#request('POST', path, JSON.stringify(body), shape));
  }

  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof Faltering) || attempt === READ_ATTEMPTS) throw error;
        await sleep(Math.min(error.retryAfterMs ?? 125 * 4 ** attempt, LONGEST_WAIT_MS));
      }
    }
  }

  /** Never repeated. `shownBy` says which command shows a request whose answer was lost. */
  async post<T>(path: string, body: unknown, shape: z.ZodType<T>, shownBy: string): Promise<T> {
    try {
      return await this.#request('POST', path, JSON.stringify(body), shape);
    } catch (error) {
      if (!(error instanceof AnswerLost)) throw error;
      throw new CommandFailure(
        'answer-lost',
        `${error.message} Whether the request was taken is not known; ${shownBy} if it was.`,
        { cause: error },
      );
    }
  }

  async #request<T>(
    method: 'GET' | 'POST',
    target: string,
    body: string | undefined,
    shape: z.ZodType<T>,
    timeoutMs = REQUEST_TIMEOUT_MS,
  ): Promise<T> {
    const { baseUrl } = this.#connection;
    const bearer = `Bearer ${this.#connection.token()}`;
    let response: Response;
    let text: string;
    try {
      response = await fetch(new URL(target, baseUrl), {
        method,
        // A login page is no answer, and the token is not for whoever it redirects to.
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          accept: 'application/json',
          authorization: bearer,
          'x-serverless-authorization': bearer,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body }),
      });
      text = await response.text();
    } catch (error) {
      throw unreachable(baseUrl, error, timeoutMs);
    }
    const answer = parseJson(text);
    if (response.ok && answer !== undefined) {
      const parsed = shape.safeParse(answer);
      if (parsed.success) return parsed.data;
      const [issue] = parsed.error.issues;
      throw new CommandFailure(
        'answer-not-understood',
        `The admin API at ${baseUrl} answered ${target.split('?')[0]} in a form this version does not know ("${issue?.path.join('.')}": ${issue?.message}). Are both of the same version?`,
      );
    }
    throw refusal(baseUrl, response, answer);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
