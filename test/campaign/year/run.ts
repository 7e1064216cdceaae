/** A year of a company against the emulator: `calendar.ts` says what happens, `model.ts` what should come of it. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PublishedCrl, readCrl } from '../../stories/openssl.ts';
import { type AuditRecord, beginStory, type Story } from '../../stories/story.ts';
import { type Act, calendarOf, type YearPlan } from './calendar.ts';
import {
  type CrlSighting,
  checkAudit,
  checkCrlHistory,
  checkHealth,
  checkNothingHeld,
  checkOldMail,
  checkPerson,
  checkRenewals,
  checkRetiring,
  type Found,
  issuedBy,
} from './check.ts';
import { Hands } from './hands.ts';
import { type Expected, expectedAtTheEnd } from './model.ts';

export interface YearOptions extends YearPlan {
  readonly databaseUrl: string;
  /** Users' keys as the product makes them, each; else most are put together from the primes of a few (`user-keys.ts`). */
  readonly ownKeys: boolean;
  readonly progress: (line: string) => void;
}

export interface YearResult {
  readonly seconds: number;
  /** Emulator, this process and the functions; undefined where the system has no /proc. */
  readonly cpuSeconds: number | undefined;
  readonly people: number;
  readonly certificates: number;
  readonly auditEntries: number;
  readonly checkpoints: number;
  readonly problems: readonly string[];
}

/**
 * Google's 2,400 calls in a minute are booked by the machine's clock, on which a minute has sixty days and more: the year would wait for
 * them most of its time. Of a day's minutes, in which a company of 200 makes some forty calls, none comes near them.
 */
const DIRECTORY_PER_MINUTE = 1_000_000;

const PROGRESS_EVERY_MS = 4_000;
const LOOK_AT_CRL_EVERY_DAYS = 10;
const AT_ONCE = 8;

export async function runYear(options: YearOptions): Promise<YearResult> {
  const stateDir = mkdtempSync(join(tmpdir(), 'sealwright-year-'));
  // Of the dozen processes that begin in a year only the first compiles what they all run.
  process.env['NODE_COMPILE_CACHE'] ??= join(stateDir, 'compiled');
  const story = await beginStory({
    stateDir,
    databaseUrl: options.databaseUrl,
    directoryPerMinute: DIRECTORY_PER_MINUTE,
    caKeySize: 4096,
    // As in the cloud, where a night's schedules do not stand in the way of the looks that they lead to.
    schedulesApart: true,
    ...(options.ownKeys ? {} : { userKeysFrom: new URL('user-keys.ts', import.meta.url).href }),
  });
  const hands = new Hands(story, options.databaseUrl);
  let wentWell = false;
  try {
    const result = await new Year(story, hands, options).run();
    wentWell = result.problems.length === 0;
    return result;
  } finally {
    await hands.end();
    await story.end();
    if (wentWell) rmSync(stateDir, { recursive: true, force: true });
    else options.progress(`The state of this run, functions.log with it, is kept in ${stateDir}.`);
  }
}

class Year {
  readonly #story: Story;
  readonly #hands: Hands;
  readonly #options: YearOptions;
  /** By the CRL's address. */
  readonly #crls = new Map<string, CrlSighting[]>();
  readonly #functionsPids = new Map<number, number>();
  #day = 0;
  #doing = '';

  constructor(story: Story, hands: Hands, options: YearOptions) {
    this.#story = story;
    this.#hands = hands;
    this.#options = options;
  }

  async run(): Promise<YearResult> {
    const startedMs = performance.now();
    const cpu = process.cpuUsage();
    const alive = setInterval(() => this.#tell(startedMs), PROGRESS_EVERY_MS);
    try {
      const { progress } = this.#options;
      const calendar = calendarOf(this.#options);
      const directory = await this.#hands.company.directory();
      await directory.orgunits.insert({
        customerId: 'my_customer',
        requestBody: { name: 'Sales', parentOrgUnitPath: '/Staff' },
      });
      const startedAt = await this.#hands.company.now();
      for (const [day, acts] of calendar.acts.entries()) {
        this.#day = day;
        await this.#live(acts);
        this.#doing = 'the night';
        await this.#hands.sleep(acts.length > 0);
        if (day % LOOK_AT_CRL_EVERY_DAYS === 0) await this.#lookAtCrls();
        this.#noteCpu();
      }
      this.#day = calendar.days;
      this.#doing = 'looking at everybody';
      const crl = await this.#lookAtCrls();
      const expected = expectedAtTheEnd(calendar);
      progress(`${calendar.days} days are over; ${expected.length} people are looked at.`);
      const ending = {
        startedAt,
        now: await this.#hands.company.now(),
        keyService: this.#hands.keyService,
        crl,
      };
      const problems: string[] = [];
      const endings = new Map<string, Date>();
      const underFirst: Date[] = [];
      await inTurns(expected, async (one) => {
        const address = this.#hands.addressOf(one.person);
        const found = await this.#found(
          address,
          one.revocations.some(({ reason }) => reason === 'cessationOfOperation'),
        );
        problems.push(...checkPerson(one, address, found, ending));
        for (const { serial, notAfter, issuer } of found.view?.certificates ?? []) {
          endings.set(serial, new Date(notAfter));
          if (issuer === this.#story.system.issuerId) underFirst.push(new Date(notAfter));
        }
      });
      problems.push(...(await this.#renewals(expected, ending.now)));
      for (const sightings of this.#crls.values()) problems.push(...checkCrlHistory(sightings, endings));
      problems.push(...(await this.#firstIssuer(underFirst, ending.now)));
      problems.push(...(await this.#openOldMail(expected)));
      problems.push(...checkNothingHeld(await this.#hands.company.heldSets()));
      problems.push(...checkHealth(await this.#hands.sealwright(['ca', 'health'], [0, 1])));
      const audit = await this.#verifyAudit(problems);
      const { user, system } = process.cpuUsage(cpu);
      this.#noteCpu();
      const functions = [...this.#functionsPids.values()].reduce((sum, seconds) => sum + seconds, 0);
      return {
        seconds: (performance.now() - startedMs) / 1000,
        cpuSeconds:
          functions === 0
            ? undefined
            : (user + system) / 1e6 + functions + postgresSeconds(this.#options.databaseUrl),
        people: expected.length,
        certificates: endings.size,
        ...audit,
        problems,
      };
    } finally {
      clearInterval(alive);
    }
  }

  #tell(startedMs: number): void {
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
    this.#options.progress(`day ${this.#day} of ${this.#options.days}, ${this.#doing}, ${seconds} s`);
  }

  /** What happens to different people happens at once; nobody has two things in a day. */
  async #live(acts: readonly Act[]): Promise<void> {
    await inTurns(acts, async (act) => {
      this.#doing = act.kind;
      await this.#hands.perform(act).catch((error: unknown) => {
        throw new Error(
          `Day ${this.#day}, ${JSON.stringify(act)}: ${error instanceof Error ? error.message : error}`,
          {
            cause: error,
          },
        );
      });
    });
  }

  async #lookAtCrls(): Promise<ReadonlyMap<string, string>> {
    const listed = new Map<string, string>();
    for (const url of this.#hands.crlUrls) {
      const crl: PublishedCrl = readCrl(await this.#hands.company.published(new URL(url).pathname.slice(1)));
      const sightings = this.#crls.get(url) ?? [];
      this.#crls.set(url, [...sightings, { at: await this.#hands.company.now(), crl }]);
      for (const [serial, reason] of crl.revoked) listed.set(serial, reason);
    }
    return listed;
  }

  async #found(address: string, isDeleted: boolean): Promise<Found> {
    const { company } = this.#hands;
    const view = await company.user(address);
    if (isDeleted || view === undefined) return { view };
    // Nobody, neither Google's clients nor an admin, acts for a suspended account.
    const isSuspended = /suspended/i.test(view.reason);
    if (isSuspended) return { view };
    return {
      view,
      gmail: { pairs: await company.pairs(address), identities: await company.identities(address) },
    };
  }

  async #renewals(expected: readonly Expected[], now: Date): Promise<readonly string[]> {
    const trail = Map.groupBy(
      (await this.#hands.company.audit()) as readonly AuditRecord[],
      ({ userId }) => userId,
    );
    const problems: string[] = [];
    for (const { person } of expected.filter(({ undisturbed }) => undisturbed)) {
      const address = this.#hands.addressOf(person);
      const view = await this.#hands.company.user(address);
      const own = trail.get(view?.userId) ?? [];
      const issued = issuedBy(own, view?.certificates ?? []);
      const warnings = own.flatMap(({ step, reason, details }) =>
        step === 'notice' && details?.['kind'] === 'certificate-expiring' ? [reason] : [],
      );
      problems.push(...checkRenewals({ address, issued, warnings }, now));
      if (issued.length === 0) problems.push(`The audit trail has no certificate of ${address}.`);
    }
    return problems;
  }

  async #openOldMail(expected: readonly Expected[]): Promise<readonly string[]> {
    const { company, mails } = this.#hands;
    return await checkOldMail(
      expected,
      mails,
      async ({ to, id }) => (await company.openMail(this.#hands.addressOf(to), id)).text,
    );
  }

  async #firstIssuer(endings: readonly Date[], now: Date): Promise<readonly string[]> {
    const { issuerId, crlUrl } = this.#story.system;
    const retired = ((await this.#hands.company.audit()) as readonly AuditRecord[]).find(
      ({ step, details }) => step === 'issuer-retired' && details?.['issuerId'] === issuerId,
    );
    this.#options.progress(
      `The first issuer ${retired === undefined ? 'is not retired yet' : `was retired on ${retired.at}`}; ${endings.length} certificates were under it.`,
    );
    const retiredAt = retired === undefined ? undefined : new Date(retired.at);
    return checkRetiring({ sightings: this.#crls.get(crlUrl) ?? [], endings, retiredAt, now });
  }

  async #verifyAudit(problems: string[]): Promise<{ auditEntries: number; checkpoints: number }> {
    const root = join(this.#story.stateDir, 'offline', 'trust', 'root.pem');
    const at = (await this.#hands.company.now()).toISOString();
    const words = ['audit', 'verify', '--root', root, '--at', at, '--json'];
    const verified = await this.#hands.sealwright(words, [0, 1]);
    const document = JSON.parse(verified.stdout) as Record<string, unknown>;
    const checkpoints = Number(document['checkpoints']);
    problems.push(...checkAudit(verified, checkpoints, this.#options.days));
    return { auditEntries: Number(document['entries']), checkpoints };
  }

  #noteCpu(): void {
    for (const pid of this.#story.system.functionsPids()) {
      const seconds = cpuSecondsOf(pid);
      if (seconds !== undefined) this.#functionsPids.set(pid, seconds);
    }
  }
}

/** A few at a time. */
async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const worker = async () => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const TICKS_A_SECOND = 100;

/** What /proc says of a process after its name; undefined where there is no /proc, or no such process any more. */
function statOf(pid: string): readonly string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ');
  } catch {
    return undefined;
  }
}

/** Processor time of a process, with that of children it has waited for; undefined where it cannot be known. */
function cpuSecondsOf(pid: number | string): number | undefined {
  const fields = statOf(String(pid));
  if (fields === undefined) return undefined;
  const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
  return ticks / TICKS_A_SECOND;
}

/** Of a private PostgreSQL, whose folder its address names; 0 for any other. */
function postgresSeconds(databaseUrl: string): number {
  const folder = new URL(databaseUrl).searchParams.get('host') ?? '';
  const file = join(folder, 'data', 'postmaster.pid');
  if (!existsSync(file)) return 0;
  const [pid = ''] = readFileSync(file, 'utf8').split('\n');
  const backends = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && statOf(name)?.[1] === pid);
  return [pid, ...backends].reduce((sum, one) => sum + (cpuSecondsOf(one) ?? 0), 0);
}
