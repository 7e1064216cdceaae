/** What happens next to a user, when, and what an admin can do about it: a sentence for each action that a row may name. */
import type { NextAction, RetryAction } from '../domain/next-action.ts';
import type { StepKind } from '../domain/step.ts';

interface Words {
  /** As the occasion of what the schedule brings: "the schedule (a renewal)". */
  readonly occasion: string;
  /** `when` is the instant at which somebody looks, in words. */
  readonly next: (when: string) => string;
}

const WORDS: Readonly<Record<Exclude<NextAction, RetryAction>, Words>> = {
  renew: {
    occasion: 'a renewal',
    next: (when) => `At ${when} the renewal begins, by itself; the certificate in use stays good meanwhile.`,
  },
  'revoke-replaced': {
    occasion: 'the end of an overlap',
    next: (when) => `At ${when} a replaced certificate is revoked.`,
  },
  warn: {
    occasion: 'a warning that fell due',
    next: (when) =>
      `At ${when} a warning falls due about a certificate that nears its end in another mail client; "sealwright cert issue" makes the next one.`,
  },
  revoke: {
    occasion: 'the end of a grace period',
    next: (when) =>
      `At ${when} the grace period ends: every certificate of theirs that is still good is revoked, unless the user is back before or so many leave at once that an admin has to decide.`,
  },
  'delete-identity': {
    occasion: 'an identity to be deleted',
    next: (when) => `At ${when} Gmail is asked again to delete the identity, which it would not do so far.`,
  },
  'disable-keypair': {
    occasion: 'key pairs to be disabled',
    next: (when) => `At ${when} Gmail is asked again to disable the key pairs, which it would not do so far.`,
  },
  'ask-gmail-again': {
    occasion: 'Gmail to be asked again',
    next: (when) => `At ${when} Gmail is asked again; once it takes part, everything else follows by itself.`,
  },
  'wait-for-address': {
    occasion: 'an address that somebody else had',
    next: (when) =>
      `As soon as the certificate of the other user is revoked, theirs is issued; it is looked for at ${when} at the latest. "sealwright explain" says of the other user what is in the way.`,
  },
  'carry-out-request': {
    occasion: 'a request about key pairs',
    next: (when) => `At ${when} Gmail is asked again, for what an admin asked to be done to their key pairs.`,
  },
  'look-at-policy': {
    occasion: 'a rule that could not be judged',
    next: (when) =>
      `Nothing, until the unit or group is there again or a policy names what there is ("sealwright policy activate FILE"); somebody looks at ${when} at the latest.`,
  },
  'look-for-user': {
    occasion: 'a user in no list',
    next: (when) =>
      `At ${when} they are looked for again. Two whole sweeps a day apart decide that an account is gone; "sealwright sweep start" compares everybody now.`,
  },
  apply: {
    occasion: 'what was planned',
    next: () => 'What the policy asks for is being carried out.',
  },
  'observe-again': {
    occasion: 'a rule that only observes',
    next: (when) =>
      `At ${when} they are looked at again; nothing is done for as long as the rule only observes ("mode: act" and "sealwright policy activate FILE" end that).`,
  },
  'wait-for-approval': {
    occasion: 'a departure that is held',
    next: (when) =>
      `An admin decides: "sealwright held list" names the held set, "sealwright held show DIGEST" everybody in it, "sealwright held approve DIGEST" carries it out and "sealwright held dismiss DIGEST" does not. Until then nothing is taken away; at ${when} somebody looks whether the user is back.`,
  },
  'ask-guard-again': {
    occasion: 'a departure that was dismissed',
    next: (when) =>
      `At ${when}, if the directory still asks for the departure, it is held again and an admin decides ("sealwright held list"); nothing is taken away before.`,
  },
  'wait-for-resume': {
    occasion: 'the end of a stop',
    next: (when) =>
      `It goes on once an admin ends the stop ("sealwright resume"), by itself; until then somebody looks from time to time, next at ${when}.`,
  },
  resume: {
    occasion: 'what was begun',
    next: (when) => `At ${when} what was begun goes on, unless it is done before.`,
  },
  depart: {
    occasion: 'an approved departure',
    next: (when) => `At ${when} the departure that an admin approved is carried out.`,
  },
  rekey: {
    occasion: 'a re-key',
    next: (when) =>
      `At ${when} the re-key that was asked for begins; "sealwright job ID" says how far it is.`,
  },
  'certify-device': {
    occasion: 'a certificate for another mail client',
    next: (when) => `At ${when} the certificate for their other mail client is issued.`,
  },
  'import-keys': {
    occasion: 'an imported key',
    next: (when) => `At ${when} the imported key of their old mail goes to Gmail.`,
  },
  'move-keys': {
    occasion: 'keys to be moved',
    next: (when) =>
      `At ${when} their old key pairs are moved to another key service; "sealwright job ID" says how far that is.`,
  },
  disable: {
    occasion: 'a key pair to be disabled',
    next: (when) => `At ${when} the key pair that an admin named is disabled.`,
  },
  obliterate: {
    occasion: 'a key pair to be obliterated',
    next: (when) =>
      `At ${when} the key pair that two admins named is destroyed for ever; until then "sealwright obliterate cancel REQUEST" ends that.`,
  },
};

/** What is tried again, where a step stopped. */
const TRIED: Readonly<Record<StepKind | 'read-directory' | 'read-gmail', string>> = {
  'make-key': 'making their key',
  'take-card-key': 'taking the key of their smart card',
  'issue-leaf': 'issuing their certificate',
  'issue-device-leaf': 'issuing the certificate for their other mail client',
  'sign-leaf': 'finishing their certificate',
  'retire-leaf': 'deciding when the replaced certificate is revoked',
  'revoke-leaf': 'revoking a certificate',
  'create-keypair': 'giving Gmail the key pair',
  'enable-keypair': 'enabling a key pair in Gmail',
  'disable-keypair': 'disabling a key pair in Gmail',
  'obliterate-keypair': 'destroying a key pair in Gmail',
  'move-keypair': 'moving an old key pair to another key service',
  'import-keypair': 'giving Gmail an imported key',
  'set-identity': 'setting the identity in Gmail',
  'delete-identity': 'deleting the identity in Gmail',
  'fulfil-wish': 'closing the re-key',
  'fail-wish': 'closing the re-key',
  'read-directory': 'asking the directory who they are',
  'read-gmail': 'asking Gmail what it has',
};

const LOOK: Words = {
  occasion: 'a look',
  next: (when) => `At ${when} they are looked at.`,
};

/** A row may be older than these words, so any text is answered: that somebody looks is true of each. */
function wordsOf(action: string): Words {
  const retried = action.startsWith('retry-') ? wordIn(TRIED, action.slice('retry-'.length)) : undefined;
  if (retried !== undefined) {
    return {
      occasion: `another try at ${retried}`,
      next: (when) => `At ${when} ${retried} is tried again, by itself.`,
    };
  }
  return wordIn(WORDS, action) ?? LOOK;
}

const wordIn = <Value>(table: Readonly<Record<string, Value>>, word: string): Value | undefined =>
  Object.hasOwn(table, word) ? table[word] : undefined;

/** What happens next, in sentences. */
export const nextStep = (action: string, when: string): string => wordsOf(action).next(when);

/** What the schedule came for. */
export const occasionOf = (event: string): string => {
  const { occasion } = wordsOf(event);
  return occasion === LOOK.occasion ? event.replaceAll('-', ' ') : occasion;
};
