/** Whether changes in the directory reach us: the alarms that stand, and the Reports API, which needs a privilege of its own. */
import type { AdminClient } from '../admin/client.ts';
import { systemStatus } from '../admin/sweep-answers.ts';
import { instant } from '../words.ts';
import { type Finding, found } from './finding.ts';

const shape = systemStatus.pick({ reports: true, alarms: true });

export async function inspectSources(admin: AdminClient): Promise<readonly Finding[]> {
  const { reports, alarms } = await admin.read('v1/status', shape);
  return [
    reportsFinding(reports),
    ...alarms.map(({ alarm, message }) =>
      found(`alarm ${alarm}`, 'failed', message, 'docs/runbooks/events.md has each alarm by its name.'),
    ),
  ];
}

function reportsFinding({
  readAt,
  failures,
  why,
}: {
  readonly readAt?: string | undefined;
  readonly failures: number;
  readonly why?: string | undefined;
}): Finding {
  if (failures > 0)
    return found(
      'Reports API',
      readAt === undefined ? 'failed' : 'warning',
      `The last ${failures === 1 ? 'reading' : `${failures} readings`} failed: ${why ?? 'no reason was given.'}`,
      'It fills gaps of the log sink; docs/deploy.md, step 5, says which privilege it needs.',
    );
  return readAt === undefined
    ? found('Reports API', 'unknown', 'It was not read yet; due reads it within minutes of its first run.')
    : found('Reports API', 'ok', `It was read at ${instant(readAt)}.`);
}
