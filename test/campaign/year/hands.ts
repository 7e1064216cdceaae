/** The people of the year at work: in the directory, in Gmail, and at the command line as the admin who looks after the CA. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { functionEnvironments, type LocalEnvironment, setUpEnvironment } from '../../../local/environment.ts';
import { policyText } from '../../../local/policy-text.ts';
import { type Ended, launch } from '../../cli/sealwright.ts';
import {
  addressOf,
  eventually,
  newRevision,
  only,
  type Story,
  type StoryCompany,
} from '../../stories/story.ts';
import { type Act, MOVED_UNIT, type Unit } from './calendar.ts';

const OUTSIDE = '/Contractors';
/** Of the second key service, from the base: none of the system's own. */
const KEY_SERVER_PORT = 15;

const LONGEST_SETTLING_MS = 900_000;
const DRAIN_MS = 200;
/** How the emulator describes a message and a job that nobody works on before their next try. */
const BACKING_OFF = /\(0 under way, next try at |failed, the next follows after /;

export interface SentMail {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly text: string;
}

/** The sample policy with another length of life; who lives shorter is renewed sooner. */
const policyOf = (keyService: string, validityDays: number): string =>
  policyText(keyService, 2048)
    .replace('validity: 365d', `validity: ${validityDays}d`)
    .replace('renewBefore: 30d', `renewBefore: ${Math.min(30, Math.ceil(validityDays / 4))}d`);

export class Hands {
  readonly #story: Story;
  readonly #local: LocalEnvironment;
  readonly #folder: string;
  readonly #addresses = new Map<string, string>();
  readonly #units = new Map<string, Unit>();
  #keyServer: ChildProcess | undefined;
  #rolling: Promise<void> = Promise.resolve();
  company: StoryCompany;
  readonly mails: SentMail[] = [];
  /** Where each issuer's CRL is, oldest issuer first. */
  readonly crlUrls: string[];
  /** The key service that the policy names now. */
  keyService: string;

  constructor(story: Story, databaseUrl: string) {
    this.#story = story;
    this.company = story.company;
    this.#folder = story.stateDir;
    const portBase = Number(new URL(story.system.ready.google).port);
    this.#local = {
      portBase,
      clockFile: join(this.#folder, 'clock-offset'),
      policyFile: join(this.#folder, 'policy.yaml'),
      keyEncryptionKeys: [],
      databaseUrl,
    };
    this.crlUrls = [story.system.crlUrl];
    this.keyService = story.system.ready.keyService.replace(/\/$/, '');
  }

  addressOf(person: string): string {
    return addressOf(this.#addresses.get(person) ?? person);
  }

  async end(): Promise<void> {
    const child = this.#keyServer;
    if (child === undefined || child.exitCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }

  /** Throws with the command's own words when it does not end as it should. */
  async sealwright(words: readonly string[], mayEndWith: readonly number[] = [0]): Promise<Ended> {
    const ended = await launch(words, {
      environment: {
        ...setUpEnvironment(this.#local),
        ...this.company.commandEnvironment,
        SEALWRIGHT_CREDENTIALS: 'metadata-server',
        GCE_METADATA_HOST: `127.0.0.1:${this.#local.portBase}`,
        METADATA_SERVER_DETECTION: 'assume-present',
        NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
      },
    });
    if (mayEndWith.some((code) => code === ended.exit)) return ended;
    throw new Error(`sealwright ${words.join(' ')} ended with ${ended.exit}: ${ended.stderr}${ended.stdout}`);
  }

  async perform(act: Act): Promise<void> {
    const { company } = this;
    switch (act.kind) {
      case 'hire':
        this.#units.set(act.person, act.unit);
        await company.hire(act.person, act.unit);
        return;
      case 'delete':
        return await company.deleteUser(this.addressOf(act.person));
      case 'move-out':
        return await company.moveUser(this.addressOf(act.person), OUTSIDE);
      case 'move-back':
        return await company.moveUser(this.addressOf(act.person), this.#units.get(act.person) ?? '/Staff');
      case 'suspend':
      case 'restore':
        return await company.update(this.addressOf(act.person), { suspended: act.kind === 'suspend' });
      case 'rename':
        await company.update(this.addressOf(act.person), { primaryEmail: addressOf(act.to) });
        this.#addresses.set(act.person, act.to);
        return;
      case 'rekey':
        await company.rekey({ users: [this.addressOf(act.person)], reason: act.reason });
        return;
      case 'mail': {
        const text = `From ${act.from} to ${act.to}, ${randomBytes(8).toString('hex')}.`;
        const mail = { from: this.addressOf(act.from), to: [this.addressOf(act.to)], subject: 'Plans', text };
        this.mails.push({ ...act, text, id: await company.sendMail(mail) });
        return;
      }
      case 'move-unit-out':
        await (await company.directory()).orgunits.patch({
          customerId: 'my_customer',
          orgUnitPath: MOVED_UNIT.slice(1),
          requestBody: { parentOrgUnitPath: OUTSIDE },
        });
        return;
      case 'approve-held':
        return await this.#approveHeld();
      case 'roll-issuer':
        this.#rolling = this.#rollIssuer();
        return;
      case 'root-crl':
        return await this.#renewRootCrl();
      case 'change-key-service':
        return await this.#changeKeyService(act.validityDays);
      default:
        return act satisfies never;
    }
  }

  async #approveHeld(): Promise<void> {
    const { stdout } = await this.sealwright(['held', 'list', '--json']);
    const { sets } = JSON.parse(stdout) as { sets: readonly { digest: string; scope: string }[] };
    await this.sealwright(['held', 'approve', only(sets).digest, '--json']);
  }

  async #rollIssuer(): Promise<void> {
    const { stdout } = await this.sealwright(['ca', 'roll', ...this.#offline(), '--json']);
    const { crlUrl } = JSON.parse(stdout) as { crlUrl: string };
    this.crlUrls.push(crlUrl);
  }

  async #renewRootCrl(): Promise<void> {
    await this.sealwright(['ca', 'root-crl', ...this.#offline()]);
    await this.sealwright([
      'ca',
      'root-crl',
      '--publish',
      join(this.#folder, 'offline', 'trust', 'root.crl'),
    ]);
  }

  #offline(): readonly string[] {
    const folder = join(this.#folder, 'offline');
    return ['--offline', folder, '--passphrase-file', join(folder, 'root.passphrase')];
  }

  /**
   * The key service moves out of the cloud: the same code as a process of its own, with a key of its own, registered in the Admin
   * console; then the policy names it, is activated and deployed. The one before goes on for old mail.
   */
  async #changeKeyService(validityDays: number): Promise<void> {
    const { system } = this.#story;
    this.keyService = `http://127.0.0.1:${this.#local.portBase + KEY_SERVER_PORT}`;
    const keyFolder = join(this.#folder, 'second-key-service');
    mkdirSync(keyFolder, { mode: 0o700 });
    writeFileSync(join(keyFolder, '1'), randomBytes(32), { mode: 0o600 });
    const log = openSync(join(this.#folder, 'second-key-service.log'), 'a');
    const main = new URL('../../../functions/key-server/main.ts', import.meta.url).href;
    const program = `(await import(${JSON.stringify(main)})).main()`;
    this.#keyServer = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', log, log],
      env: {
        ...functionEnvironments(this.#local)['key-service'],
        PORT: new URL(this.keyService).port,
        SEALWRIGHT_KEY_SERVICE_URL: this.keyService,
        SEALWRIGHT_KEY_SERVICE_KEYS: `file:${join(keyFolder, '1')}`,
      },
    });
    await eventually('the second key service', async () =>
      (await fetch(`${this.keyService}/status`).catch(() => undefined))?.ok === true ? true : undefined,
    );
    await this.#post('admin-console/key-service', { url: this.keyService });
    const { policyFile } = this.#local;
    writeFileSync(policyFile, policyOf(this.keyService, validityDays));
    await this.sealwright(['policy', 'activate', policyFile, '--yes'], [0, 3]);
    await newRevision(system);
  }

  async #post(path: string, body: unknown): Promise<void> {
    const response = await fetch(new URL(`_emulator/${path}`, this.#story.system.ready.google), {
      method: 'POST',
      body: JSON.stringify(body),
    });
    if (!response.ok)
      throw new Error(`_emulator/${path} answered ${response.status}: ${await response.text()}`);
  }

  /**
   * A night passes: the schedules fire, and everything that follows from them and from the day comes to its end. After a day on
   * which nothing happened the system is at rest already.
   */
  async sleep(didAnything: boolean): Promise<void> {
    if (didAnything) await this.settle();
    await this.company.jump('24h');
    this.company = await this.company.again();
    await this.settle();
    // The command waits until everybody can see the new issuer's CRL, which the schedules of the night see to.
    await this.#rolling;
  }

  /**
   * Waits until no event is undelivered and nobody's work runs, however busy the machine is. Where all that is left waits for a
   * back-off, that time passes on the emulator's clock: nobody needs to sit through it.
   */
  async settle(): Promise<void> {
    const endsMs = performance.now() + LONGEST_SETTLING_MS;
    while (performance.now() < endsMs) {
      const response = await fetch(new URL('_emulator/drain', this.#story.system.ready.google), {
        method: 'POST',
        body: JSON.stringify({ timeoutMs: DRAIN_MS }),
      });
      const { quiet, pending = [] } = (await response.json()) as { quiet?: boolean; pending?: string[] };
      if (quiet === true) return;
      if (pending.length > 0 && pending.every((one) => BACKING_OFF.test(one))) await this.company.jump('1s');
    }
    throw new Error('The system did not come to rest within a quarter of an hour.');
  }

  /** What the functions said that somebody should have looked at. */
  loggedErrors(): readonly string[] {
    return readFileSync(this.#story.system.logFile, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{') && /"severity":"(ERROR|CRITICAL)"/.test(line));
  }
}
