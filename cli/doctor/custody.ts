/** Who holds what: whether one organisation alone could open the mail. See docs/security.md, "A rogue Google". */
import { type Finding, found } from './finding.ts';
import { look } from './web.ts';

const GOOGLES_IDENTITY = /^https:\/\/accounts\.google\.com(?:\/|$)/;

/**
 * Where Gmail finds the identity provider of client-side encryption: `https://cse.DOMAIN/.well-known/cse-configuration`.
 * Undefined when nothing is published there: then it stands in the Admin console, which cannot be read from here.
 */
export async function identityProviderOf(domain: string): Promise<string | undefined> {
  const seen = await look(`https://cse.${domain}/.well-known/cse-configuration`);
  const discovery = typeof seen === 'string' ? undefined : seen.json?.['discovery_uri'];
  return typeof discovery === 'string' ? discovery : undefined;
}

export function judgeCustody(holds: {
  /** Discovery document of the identity provider, where it is known. */
  readonly identityProvider: string | undefined;
  /** Whether any key service answered through a front of Google's; undefined when none answered. */
  readonly keyServiceBehindGoogle: boolean | undefined;
}): Finding {
  const check = 'who holds what';
  const { identityProvider, keyServiceBehindGoogle: behind } = holds;
  const googles = identityProvider === undefined ? undefined : GOOGLES_IDENTITY.test(identityProvider);
  const advice =
    'If Google is in your threat model, run the key service outside Google Cloud and let an identity provider of your own say who users are.';
  if (googles === true && behind === true) {
    return found(
      check,
      'warning',
      'Google has the mail, runs the key service and says who users are: Google alone could open everything.',
      advice,
    );
  }
  if (googles === true) {
    return found(
      check,
      'warning',
      'Google says who users are and issues what they may do: it can mint both tokens that the key service asks for.',
      advice,
    );
  }
  if (behind === true && googles === undefined) {
    return found(
      check,
      'warning',
      'The key service is behind a front of Google’s, and no identity provider is published for this domain: if that is Google too, Google alone could open everything.',
      advice,
    );
  }
  if (behind === true) {
    return found(
      check,
      'warning',
      `The key service is behind a front of Google’s; ${identityProvider} says who users are. Google runs the machine that uses the keys.`,
      'Contract and access logs separate them, not cryptography (docs/security.md).',
    );
  }
  if (behind === undefined || googles === undefined) {
    return found(
      check,
      'unknown',
      'Who runs the key service, or who says who users are, cannot be seen from here.',
    );
  }
  return found(
    check,
    'ok',
    `No front of Google’s was seen before the key service, and ${identityProvider} says who users are. That it runs elsewhere is yours to know.`,
  );
}
