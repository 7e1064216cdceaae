/** Workflows that are wrong on purpose, each in one way: what the campaign looks for, it is shown once. */
import { isSealwrightError } from '../../../shared/errors.ts';
import { gmailPkcs7Pem } from '../../../shared/pki/pkcs7.ts';
import { ADDRESS, JOIN, USER_ID } from '../../reconcile/workflows.ts';
import { CAUSE, KEY_SERVICE_URL, type World } from '../../support/fakes/world.ts';
import { type CrashMaterials, oneLook, type Workflow } from '../workflow.ts';
import { joined } from './people.ts';

export interface Unsafe extends Workflow {
  /** What the campaign says of it. */
  readonly reported: RegExp;
}

const HINT = { userId: USER_ID, cause: CAUSE };

/** The key that was handed out last. */
const keyText = ({ pool }: CrashMaterials): string =>
  Buffer.from(pool.keys[(pool.drawn - 1) % pool.keys.length]?.pkcs8Der ?? []).toString('base64');

const COMMON = {
  leaving: 'what no sound workflow leaves',
  prepare: (world: World) => joined(world),
} satisfies Partial<Workflow>;

export const UNSAFE: readonly Unsafe[] = [
  {
    ...COMMON,
    name: 'creates without adopting what is there',
    run: async ({ gmail }, { clock }, { authority: { leaf, issuing, root } }) => {
      const leafDer = await leaf({ addresses: [ADDRESS], now: clock.now() });
      await gmail.createKeypair(ADDRESS, {
        pkcs7Pem: gmailPkcs7Pem(leafDer, [issuing.certificateDer, root.certificateDer]),
        privateKey: { keyServiceUrl: KEY_SERVICE_URL, wrappedKey: 'wrapped' },
      });
    },
    reported: /died after call 1, gmail.createKeypair/,
  },
  {
    ...COMMON,
    name: 'leaves undone what comes after a death',
    run: ({ bus }) => bus.publishHint(HINT),
    again: async () => undefined,
    end: async ({ bus }) => bus.hints.length,
    reported: /died before call 1, bus.publishHint/,
  },
  {
    ...COMMON,
    name: 'does once more what it heard no answer to',
    run: async (ports, { bus }) => {
      if (bus.hints.length > 0) return;
      await ports.bus.publishHint(HINT).catch(async (error: unknown) => {
        if (!isSealwrightError(error)) throw error;
        await ports.bus.publishHint(HINT);
      });
    },
    end: async ({ bus }) => bus.hints.length,
    reported: /lost the answer of call 1, bus.publishHint/,
  },
  {
    ...COMMON,
    name: 'does not tell the trail what it did',
    run: async ({ ledger }) => {
      for (const step of ['one', 'other'])
        await ledger.audit({ userId: USER_ID, cause: CAUSE, step, outcome: 'done', reason: 'It was time.' });
    },
    again: async () => undefined,
    reported: /of \d+ the trail lacks/,
  },
  {
    ...COMMON,
    name: 'signs two certificates of one serial',
    prepare: JOIN.prepare,
    // The ledger has room for one, so it is only said to have been signed.
    run: async (ports, world, materials) => {
      await oneLook()(ports, world, materials);
      for (const digests of world.signedBySerial.values()) (digests as Set<string>).add('of other bytes');
    },
    reported: /was signed over different bytes/,
  },
  {
    ...COMMON,
    name: 'lets a plain key leave the process',
    run: ({ bus }, _world, materials) =>
      bus.publishHint({ ...HINT, cause: { ...CAUSE, event: keyText(materials) } }),
    reported: /a plain key left the process/,
  },
  {
    ...COMMON,
    name: 'writes a plain key into the log',
    run: async ({ bus, log }, _world, materials) => {
      log.info('made', { key: keyText(materials) });
      await bus.publishHint(HINT);
    },
    reported: /a plain key in the log/,
  },
];
