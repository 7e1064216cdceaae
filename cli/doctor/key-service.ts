/** What can be seen of a key service from outside. https://developers.google.com/workspace/cse/reference/status */
import { type Finding, found } from './finding.ts';
import { look, type Seen } from './web.ts';

const GMAIL_ORIGIN = 'https://client-side-encryption.google.com';
/** The key service allows 60 s between its clock and the token issuers'; half of that is left for theirs. */
const MOST_SKEW_MS = 30_000;
const GMAIL_NEEDS = ['privatekeysign', 'privatekeydecrypt'];

export interface KeyServiceView {
  readonly findings: readonly Finding[];
  /** Whether a front of Google's answered; undefined when nothing did. */
  readonly behindGoogle: boolean | undefined;
}

export async function inspectKeyService(url: string): Promise<KeyServiceView> {
  const check = `key service ${url}`;
  const seen = await look(`${url}/status`);
  if (typeof seen === 'string') {
    const advice = 'Every user is shut out of their mail while it is down: look at its log and its address.';
    return { findings: [found(check, 'failed', `status: ${seen}.`, advice)], behindGoogle: undefined };
  }
  if (seen.status !== 200 || seen.json?.['server_type'] !== 'KACLS') {
    const advice = 'Compare the address with the one in the Admin console; it ends where /status begins.';
    const detail = `status answers HTTP ${seen.status} and is no KACLS.`;
    return { findings: [found(check, 'failed', detail, advice)], behindGoogle: undefined };
  }
  const { vendor_id: vendor, version } = seen.json;
  return {
    findings: [
      found(check, 'ok', `${String(vendor)} ${String(version)} answers in ${Math.round(seen.tookMs)} ms.`),
      operationsOf(check, seen),
      clockOf(check, seen),
      await originsOf(check, url),
    ],
    behindGoogle: isGooglesFront(seen.headers),
  };
}

function operationsOf(check: string, seen: Seen): Finding {
  const listed = seen.json?.['operations_supported'];
  const missing = GMAIL_NEEDS.filter((name) => !Array.isArray(listed) || !listed.includes(name));
  return missing.length === 0
    ? found(check, 'ok', 'It signs and decrypts for Gmail.')
    : found(
        check,
        'failed',
        `It does not list ${missing.join(' and ')}.`,
        'Gmail needs both; see its settings.',
      );
}

function clockOf(check: string, seen: Seen): Finding {
  const date = Date.parse(seen.headers.get('date') ?? '');
  if (Number.isNaN(date)) return found(check, 'unknown', 'It does not say what time it has.');
  // A `Date` is cut to the second, and was written at some time between question and answer.
  const asked = seen.startedAt.getTime();
  const skewMs = Math.max(0, asked - (date + 1000), date - (asked + seen.tookMs));
  return skewMs <= MOST_SKEW_MS
    ? found(check, 'ok', `Its clock is within ${Math.ceil(skewMs / 1000) + 1} s of this machine's.`)
    : found(
        check,
        'failed',
        `Its clock is ${Math.round(skewMs / 1000)} s off this machine's; tokens are refused from 60 s on.`,
        'Find out which of the two clocks is wrong and have it follow a time server.',
      );
}

async function originsOf(check: string, url: string): Promise<Finding> {
  const headers = { origin: GMAIL_ORIGIN, 'access-control-request-method': 'POST' };
  const seen = await look(`${url}/privatekeysign`, { method: 'OPTIONS', headers });
  const allowed = typeof seen === 'string' ? undefined : seen.headers.get('access-control-allow-origin');
  if (allowed === GMAIL_ORIGIN || allowed === '*')
    return found(check, 'ok', 'It lets Gmail’s origin call it.');
  const advice = 'What stands in front of it must let OPTIONS pass and keep its headers.';
  return found(check, 'failed', 'It does not let Gmail’s origin call it (CORS).', advice);
}

/** What Google's load balancers and Cloud Run write. Its absence proves nothing. */
const isGooglesFront = (headers: Headers): boolean =>
  /google/i.test(headers.get('via') ?? '') || /Google Frontend|^gws$/i.test(headers.get('server') ?? '');
