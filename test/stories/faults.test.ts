/** What goes wrong while somebody joins. Whatever it was, they end with one pair, one identity and one certificate. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, beginStory, eventually, only, type Story } from './story.ts';

const CREATE_PAIR = 'gmail.users.settings.cse.keypairs.create';
const CREATE_IDENTITY = 'gmail.users.settings.cse.identities.create';

describe('a join', { timeout: 120_000 }, () => {
  let story: Story;

  beforeAll(async () => {
    story = await beginStory();
  }, 120_000);

  afterEach(async () => {
    await story.company.noFaults();
  });

  afterAll(() => story.end());

  const expectJoinedOnce = async (name: string, company = story.company): Promise<void> => {
    await company.waitForState(addressOf(name), 'ready');
    await company.noFaults();
    await company.drain();
    const { view, pairs, identities, unrevoked } = await company.holdings(addressOf(name));
    expect(view.state).toBe('ready');
    expect(view.certificates).toHaveLength(1);
    const pair = only(pairs);
    expect(pair.keyPairId).toBe(only(unrevoked).keypairId);
    expect(only(identities)).toEqual({ emailAddress: addressOf(name), primaryKeyPairId: pair.keyPairId });
  };
  /** Waits until the ledger shows a reason like this, moving nothing. */
  const reasonShown = async (name: string, reason: RegExp, company = story.company): Promise<string> =>
    await eventually(`the reason ${reason.source} of ${name}`, async () => {
      const standing = await company.standing(addressOf(name));
      return reason.test(standing) ? standing : undefined;
    });

  describe('whose every event is lost', () => {
    it('is found by the next sweep of the directory', async () => {
      const { company } = story;
      // The Reports API is late by more than the sweep's six hours: both would find them at once, and either would be right.
      await company.faults({ events: { drop: 1 }, reports: { lagMs: 86_400_000 } });
      await company.hire('unheard');
      await company.drain();
      expect(await company.user(addressOf('unheard'))).toBeUndefined();
      await company.moveClock('6h');
      const { view } = await (async () => {
        await (await company.again()).waitForState(addressOf('unheard'), 'ready');
        return await (await company.again()).holdings(addressOf('unheard'));
      })();
      expect(view.certificates).toHaveLength(1);
      const { audit } = await (await company.again()).ledgerExport();
      const causes = audit.filter(({ userId }) => userId === view.userId).map(({ cause }) => cause);
      expect(causes[0]).toMatchObject({ source: 'sweep', event: 'came-into-scope' });
    });
  });

  describe('which the directory does not show for three minutes', () => {
    it.each([
      ['both sources tell of it', 'late', {}],
      [
        'the log sink alone tells of it',
        'later',
        { calls: [{ method: 'functions.directory-watch', status: 404 }] },
      ],
    ])('ends as one clean join, without a sweep, where %s', async (_which, name, faults) => {
      const { company } = story;
      await company.faults({ directory: { readsLagMs: 180_000 }, ...faults });
      await company.hire(name);
      await company.drain();
      expect(await company.user(addressOf(name))).toBeUndefined();
      await company.moveClock('4m');
      await (await company.again()).waitForState(addressOf(name), 'ready');
      const { view, unrevoked } = await (await company.again()).holdings(addressOf(name));
      expect(unrevoked).toHaveLength(1);
      const { audit } = await (await company.again()).ledgerExport();
      const sources = audit.filter(({ userId }) => userId === view.userId).map(({ cause }) => cause.source);
      expect(new Set(sources)).not.toContain('sweep');
      expect(audit.filter(({ step }) => step === 'hint-ignored')).toEqual([]);
    });
  });

  describe('with others at the same time, while Google counts its quotas,', () => {
    const NAMES = Array.from({ length: 8 }, (_, index) => `counted${index + 1}`);

    it('is through like theirs, and nobody was refused a call for asking too much', async () => {
      const { company } = story;
      await company.faults({ quotas: true });
      await Promise.all(NAMES.map((name) => company.hire(name)));
      for (const name of NAMES) await company.waitForState(addressOf(name), 'ready');
      for (const name of NAMES) await expectJoinedOnce(name);
      const calls = (await company.calls()).filter(({ method }) => /^(directory|gmail)\./.test(method));
      expect(calls.length).toBeGreaterThan(NAMES.length * 5);
      expect(calls.filter(({ status }) => status === 429 || status === 403)).toEqual([]);
    });
  });

  describe('whose answer is lost', () => {
    it('from creating the key pair adopts the pair that Gmail made', async () => {
      const { company } = story;
      await company.faults({ calls: [{ method: CREATE_PAIR, cut: 'after', nth: [1, 2] }] });
      await company.hire('pairless');
      await expectJoinedOnce('pairless');
      const creates = (await company.callsOf(CREATE_PAIR)).filter(({ cut }) => cut === 'after');
      // The second create never comes: the first one is found.
      expect(creates.map(({ status }) => status)).toEqual([200]);
      await expectAdopted('pairless', 'create-keypair');
    });

    it('from creating the identity keeps the one that Gmail made', async () => {
      const { company } = story;
      await company.faults({ calls: [{ method: CREATE_IDENTITY, cut: 'after', nth: [1] }] });
      await company.hire('nameless');
      await expectJoinedOnce('nameless');
      const creates = (await company.callsOf(CREATE_IDENTITY)).filter(({ path }) => path !== '');
      expect(creates.filter(({ cut }) => cut === 'after').map(({ status }) => status)).toEqual([200]);
    });

    it('from sign, from the key service and from the directory is repeated without a second certificate', async () => {
      const { company } = story;
      await company.faults({
        calls: [
          { method: 'functions.sign', cut: 'after', nth: [1] },
          { method: 'kacls.wrapprivatekey', cut: 'after', nth: [1] },
          { method: 'directory.users.get', cut: 'after', nth: [1] },
        ],
      });
      await company.hire('signless');
      await expectJoinedOnce('signless');
      const lost = (await company.calls()).filter(({ cut }) => cut === 'after').map(({ method }) => method);
      expect(lost).toEqual(
        expect.arrayContaining(['functions.sign', 'kacls.wrapprivatekey', 'directory.users.get']),
      );
    });

    const expectAdopted = async (name: string, step: string): Promise<void> => {
      const { audit } = await story.company.ledgerExport();
      const { view } = await story.company.holdings(addressOf(name));
      const outcomes = audit
        .filter((entry) => entry.userId === view.userId && entry.step === step)
        .map(({ outcome }) => outcome);
      expect(outcomes).toContain('adopted');
      expect(outcomes).not.toContain('done');
    };
  });

  describe('while Google is overloaded', () => {
    it.each([
      ['answers 503 to every third call', { status: 503, reason: 'backendError' }],
      ['answers 429', { status: 429, reason: 'rateLimitExceeded' }],
      ['throttles with 403', { status: 403, reason: 'userRateLimitExceeded' }],
    ])('%s ends as one clean join', async (_, fault) => {
      const { company } = story;
      const name = `load${fault.status}`;
      await company.faults({
        seed: fault.status,
        calls: [
          { method: 'gmail.*', probability: 0.33, ...fault },
          { method: 'directory.users.get', probability: 0.33, ...fault },
        ],
      });
      await company.hire(name);
      await expectJoinedOnce(name);
      const hit = (await company.calls()).filter(({ status }) => status === fault.status);
      expect(hit.length).toBeGreaterThan(0);
    });

    it('shows what Gmail said until it is over', async () => {
      const { company } = story;
      await company.faults({ calls: [{ method: CREATE_PAIR, status: 503, reason: 'backendError' }] });
      await company.hire('waiting');
      await reasonShown('waiting', /^pending: create-keypair: .*503/);
      expect((await company.user(addressOf('waiting')))?.certificates).toHaveLength(1);
      await company.noFaults();
      await expectJoinedOnce('waiting');
    });
  });

  describe('while the key service', () => {
    it('answers 500 waits with that reason, issues nothing, and goes on by itself', async () => {
      const { company } = story;
      await company.faults({ calls: [{ method: 'kacls.wrapprivatekey', status: 500 }] });
      await company.hire('keyless');
      await reasonShown('keyless', /^pending: make-key: .*key service.*HTTP 500/);
      expect((await company.user(addressOf('keyless')))?.certificates).toEqual([]);
      await company.noFaults();
      await expectJoinedOnce('keyless');
    });

    it('answers 200 with something that is no wrapped key waits with that reason, and goes on by itself', async () => {
      const { company } = story;
      await company.faults({
        calls: [{ method: 'kacls.wrapprivatekey', body: '<html><title>Sign in to continue</title></html>' }],
      });
      await company.hire('rubbish');
      const standing = await reasonShown('rubbish', /^pending: make-key: .*key service.*no wrapped key/);
      expect(standing).not.toContain('Sign in');
      await company.noFaults();
      await expectJoinedOnce('rubbish');
    });

    it('refuses us is blocked with the advice, and goes on at the next look', async () => {
      const { company } = story;
      await company.faults({ calls: [{ method: 'kacls.wrapprivatekey', status: 403 }] });
      await company.hire('refused');
      await reasonShown('refused', /^blocked: make-key: .*HTTP 403.*list of callers/);
      await company.noFaults();
      await company.moveClock('2h');
      await expectJoinedOnce('refused');
    });
  });

  describe('while the CRL', () => {
    it('cannot be fetched at upload time says that Gmail refused the chain for it, and goes on at the next look', async () => {
      const { company } = story;
      await company.faults({ calls: [{ method: 'pki.get', status: 503 }] });
      await company.hire('crlless');
      await reasonShown('crlless', /^blocked: create-keypair: .*CRL.*HTTP 503/);
      await company.noFaults();
      await company.moveClock('2h');
      await expectJoinedOnce('crlless');
    });

    it('has run out and cannot be published anew waits for a CRL before issuing', async () => {
      await story.company.faults({ calls: [{ method: 'storage.objects.*', status: 503 }] });
      await story.company.jump('10d');
      const company = await story.company.again();
      await company.hire('stale');
      await reasonShown('stale', /^pending: issue-leaf: .*no published CRL that is still good/, company);
      expect((await company.user(addressOf('stale')))?.certificates).toEqual([]);
      await company.noFaults();
      await expectJoinedOnce('stale', company);
      await story.company.moveClock('1m');
    });
  });

  it('with everything failing one time in eight, every answer at risk, ends as one clean join', async () => {
    const { company } = story;
    const seed = Math.floor(Math.random() * 1_000_000);
    console.info(`faults seed ${seed}`);
    await company.faults({
      seed,
      events: { duplicate: 0.5, reorder: 0.5 },
      calls: [
        { method: '*', status: 503, probability: 0.06 },
        { method: '*', cut: 'before', probability: 0.03 },
        { method: '*', cut: 'after', probability: 0.03 },
      ],
    });
    const names = ['storm1', 'storm2', 'storm3'];
    for (const name of names) {
      // The admin's own call may be hit as well, before or after its effect.
      await eventually(`the account of ${name}`, () =>
        company
          .hire(name)
          .catch((error: unknown) => (String(error).includes('already exists') ? name : undefined)),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await company.noFaults();
    await company.moveClock('2h');
    for (const name of names) await expectJoinedOnce(name);
  });
});
