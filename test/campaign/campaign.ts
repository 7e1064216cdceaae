/**
 * Kills the functions while people join: `kill -9` at random moments, every event doubled and out of order, one user
 * deleted in the middle. Afterwards everything must be as if nobody had ever been killed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chance } from '../stories/chance.ts';
import { addressOf, beginStory, eventually, type Story } from '../stories/story.ts';
import { readLifetimes } from './functions-log.ts';

export interface CampaignOptions {
  readonly seed: number;
  readonly kills: number;
  readonly users: number;
  readonly databaseUrl?: string;
  readonly progress: (line: string) => void;
}

export interface Kill {
  readonly pid: number;
  readonly at: string;
  /** `STEP of USERID`, as the log shows it. */
  readonly inFlight: readonly string[];
}

export interface CampaignResult {
  readonly kills: readonly Kill[];
  /** Kills at whose moment at least one step was in flight. */
  readonly inFlight: number;
  /** Users who were not ready yet at the last kill. */
  readonly unfinishedAtLastKill: number;
  readonly crlNumbers: readonly bigint[];
  /** What was found wrong, as sentences; empty when all is well. */
  readonly problems: readonly string[];
}

/** Each of these calls takes so much longer, in milliseconds, so that joins last as long as the killing does. */
const LATENCY_MS = 200;
const SLOW = ['gmail.users.settings.cse.*', 'kacls.wrapprivatekey', 'functions.sign', 'directory.users.get'];
/**
 * A kill comes after a random number of steps were begun or ended, up to so many for each user who is not ready, and a
 * random moment more. A process begins a step for every one of them first; the lower number so holds the joins up when
 * they run ahead of the killing, the higher one lets them go on.
 */
const STEP_LINES_PER_USER = { holdUp: 0.8, letGo: 1.4 };
const LONGEST_MOMENT_MS = 200;
/** Of ten kills one waits for no work, only for a longer moment. */
const IDLE_KILLS = 0.1;
const LONGEST_IDLE_MS = 1_500;
/**
 * Work that takes longer than this to come about is not waited for. The embedded ledger ends the leases of the dead when
 * it is opened; on a PostgreSQL, which others may share, they run out by themselves, and nobody is worked on before.
 */
const PATIENCE_MS = { embedded: 5_000, postgres: 90_000 };
const SETTLE_MS = 240_000;
const LEAVER = 'leaver';

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { databaseUrl } = options;
  const stateDir = mkdtempSync(join(tmpdir(), 'sealwright-campaign-'));
  const story = await beginStory({ stateDir, ...(databaseUrl === undefined ? {} : { databaseUrl }) });
  let wentWell = false;
  try {
    const result = await new Campaign(story, options).run();
    wentWell = result.problems.length === 0;
    return result;
  } finally {
    await story.end();
    if (wentWell) rmSync(stateDir, { recursive: true, force: true });
    else options.progress(`The state of this run, functions.log with it, is kept in ${stateDir}.`);
  }
}

class Campaign {
  readonly #story: Story;
  readonly #options: CampaignOptions;
  readonly #random: () => number;
  readonly #names: readonly string[];
  readonly #crlNumbers: bigint[] = [];

  constructor(story: Story, options: CampaignOptions) {
    this.#story = story;
    this.#options = options;
    this.#random = chance(options.seed);
    this.#names = Array.from({ length: options.users }, (_, index) => `user${index + 1}`);
  }

  async run(): Promise<CampaignResult> {
    const { company } = this.#story;
    const { seed, progress } = this.#options;
    await company.hireReady(LEAVER);
    await company.faults({
      seed,
      events: { duplicate: 1, reorder: 1 },
      calls: SLOW.map((method) => ({ method, latencyMs: LATENCY_MS })),
    });
    await Promise.all(this.#names.map((name) => company.hire(name)));
    const moments = await this.#killAll();
    const unfinishedAtLastKill = await this.#unfinished();
    progress(`${unfinishedAtLastKill} of ${this.#names.length} users were not ready at the last kill.`);
    const problems = [...(await this.#settle()), ...(await this.#check())];
    const lifetimes = readLifetimes(this.#story.system.logFile);
    const kills = moments.map((moment) => ({
      ...moment,
      inFlight: lifetimes.find(({ pid }) => pid === moment.pid)?.inFlight ?? [],
    }));
    for (const [index, { at, pid, inFlight }] of kills.entries())
      progress(`kill ${index + 1}: ${at} pid ${pid} in flight: ${inFlight.join(', ') || 'nothing'}`);
    return {
      kills,
      inFlight: kills.filter(({ inFlight }) => inFlight.length > 0).length,
      unfinishedAtLastKill,
      crlNumbers: this.#crlNumbers,
      problems,
    };
  }

  async #killAll(): Promise<readonly { pid: number; at: string }[]> {
    const { company, system } = this.#story;
    const moments: { pid: number; at: string }[] = [];
    for (let kill = 1; kill <= this.#options.kills; kill += 1) {
      const [pid] = system.functionsPids();
      const idle = this.#random() < IDLE_KILLS;
      const lines = 1 + Math.floor(this.#random() * (await this.#mostLines(kill)));
      const momentMs = this.#random() * (idle ? LONGEST_IDLE_MS : LONGEST_MOMENT_MS);
      if (!idle) await this.#work(pid, lines);
      await new Promise((resolve) => setTimeout(resolve, momentMs));
      const restarted = new Promise<void>((resolve) => {
        system.onFunctionsRestart((fresh) => {
          if (fresh !== pid) resolve();
        });
      });
      process.kill(pid, 'SIGKILL');
      moments.push({ pid, at: new Date().toISOString() });
      this.#options.progress(`killed pid ${pid}, ${kill} of ${this.#options.kills}`);
      if (kill === Math.ceil(this.#options.kills / 3)) await company.deleteUser(addressOf(LEAVER));
      await restarted;
      // Pub/Sub backs off for up to 10 s by the emulator's clock before it delivers again.
      await company.jump('11s');
      this.#crlNumbers.push((await company.crl()).number);
    }
    return moments;
  }

  async #mostLines(kill: number): Promise<number> {
    const { kills, users } = this.#options;
    const unfinished = await this.#unfinished();
    const areJoinsAhead = unfinished / users < 1 - (kill - 1) / kills;
    return unfinished * (areJoinsAhead ? STEP_LINES_PER_USER.holdUp : STEP_LINES_PER_USER.letGo);
  }

  /** Waits until the process has begun or ended so many steps, or has had time enough. */
  async #work(pid: number, lines: number): Promise<void> {
    const { databaseUrl } = this.#options;
    const patienceMs = databaseUrl === undefined ? PATIENCE_MS.embedded : PATIENCE_MS.postgres;
    const endsMs = performance.now() + patienceMs;
    while (performance.now() < endsMs) {
      const lifetime = readLifetimes(this.#story.system.logFile).find((candidate) => candidate.pid === pid);
      if ((lifetime?.stepLines ?? 0) >= lines) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async #unfinished(): Promise<number> {
    const views = await Promise.all(this.#names.map((name) => this.#story.company.user(addressOf(name))));
    return views.filter((view) => view?.state !== 'ready').length;
  }

  async #settle(): Promise<readonly string[]> {
    const { company } = this.#story;
    await company.faults({});
    try {
      await eventually(
        'everybody ready',
        async () => ((await this.#unfinished()) === 0 ? true : undefined),
        SETTLE_MS,
      );
      // Whatever asks to be looked at again is looked at within a minute.
      await company.moveClock('2m');
      return [];
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
  }

  async #check(): Promise<readonly string[]> {
    const { company, system } = this.#story;
    const problems: string[] = [];
    const { users } = await company.ledgerExport();
    for (const name of this.#names) problems.push(...(await this.#checkUser(name)));

    const known = new Set(users.flatMap(({ certificates }) => certificates.map(({ serial }) => serial)));
    const lifetimes = readLifetimes(system.logFile);
    const signed = lifetimes.flatMap((lifetime) => lifetime.signed);
    problems.push(...lifetimes.flatMap(({ bugs }) => bugs.map((bug) => `A bug is in the log: ${bug}`)));
    const orphans = signed.filter((serial) => !known.has(serial));
    if (orphans.length > 0) problems.push(`Signed and not in the ledger: ${orphans.join(', ')}.`);
    if (signed.length === 0) problems.push('The log shows no signature at all.');

    const leaver = await company.user(addressOf(LEAVER));
    const serial = leaver?.certificates[0]?.serial ?? '';
    const crl = await company.crl();
    this.#crlNumbers.push(crl.number);
    if (leaver?.state !== 'out') problems.push(`${LEAVER} is ${leaver?.state}, not out.`);
    if (!crl.revoked.has(serial)) problems.push(`The CRL does not list the certificate of ${LEAVER}.`);
    if (crl.revoked.size !== 1) problems.push(`The CRL lists ${crl.revoked.size} certificates, not one.`);
    const shrunk = this.#crlNumbers.findIndex(
      (number, index) => number < (this.#crlNumbers[index - 1] ?? 0n),
    );
    if (shrunk >= 0) problems.push(`The CRL number shrank: ${this.#crlNumbers.join(', ')}.`);
    return problems;
  }

  async #checkUser(name: string): Promise<readonly string[]> {
    const address = addressOf(name);
    const { view, pairs, identities, unrevoked } = await this.#story.company.holdings(address);
    const counts = {
      'certificates ever': view.certificates.length,
      'unrevoked certificates': unrevoked.length,
      'key pairs at Gmail': pairs.length,
      'identities at Gmail': identities.length,
    };
    const problems = Object.entries(counts)
      .filter(([, count]) => count !== 1)
      .map(([what, count]) => `${address} has ${count} ${what}, not one.`);
    if (view.state !== 'ready') problems.push(`${address} is ${view.state}: ${view.reason}`);
    const keypairId = unrevoked[0]?.keypairId;
    if (pairs[0]?.keyPairId !== keypairId || identities[0]?.primaryKeyPairId !== keypairId)
      problems.push(`${address} has a certificate, a key pair and an identity that do not belong together.`);
    return problems;
  }
}
