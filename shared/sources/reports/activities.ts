/** What an activity of the Reports API asks for: whom to look at, which units to sweep. None of it is believed. */
import type { Cause, Hint } from '../../domain/hint.ts';
import type { Activity, ReportsApplication } from '../../ports/reports.ts';
import { type AdminEvent, entryKey, targetOf } from '../admin-event.ts';
import {
  type MembershipChange,
  type MemberTarget,
  membershipKey,
  membershipOf,
  memberTarget,
} from '../membership-event.ts';

/** One entry of the audit log, whichever way it comes. */
export interface ReportedEntry {
  /** As `followed_entries` has it for the log sink's form of this entry. */
  readonly key: string;
  readonly happenedAt: Date;
  readonly hints: readonly Hint[];
  /** Units whose subtree is to be swept. */
  readonly units: readonly { readonly orgUnitPath: string; readonly cause: Cause }[];
}

/** Undefined for an activity that this product does not follow: most of what admins do. */
export function entryOf(activity: Activity, application: ReportsApplication): ReportedEntry | undefined {
  const { happenedAt, actor } = activity;
  const ownKey = entryKey(happenedAt.getTime(), activity.uniqueQualifier);
  const causeOf = (event: AdminEvent): Cause => ({
    source: 'audit',
    eventId: `reports-${ownKey}`,
    event: event.name,
    ...(actor === undefined ? {} : { actor }),
    at: happenedAt,
  });
  const asked: readonly Asked[] =
    application === 'admin'
      ? activity.events.flatMap((event) => adminTargets(event).map((target) => ({ target, event })))
      : activity.events.flatMap((event) => {
          const change = membershipOf(event, actor);
          const kind = event.parameters.get('member_type')?.toLowerCase();
          const target = change === undefined ? undefined : memberTarget(change.member, kind);
          return change === undefined || target === undefined ? [] : [{ target, event, change }];
        });
  const [first] = asked;
  if (first === undefined) return undefined;
  return {
    key: first.change !== undefined ? membershipKey(happenedAt.getTime(), first.change) : ownKey,
    happenedAt,
    hints: asked.flatMap(({ target, event }) =>
      'orgUnitPath' in target ? [] : [{ ...target, cause: causeOf(event) }],
    ),
    units: asked.flatMap(({ target, event }) =>
      'orgUnitPath' in target ? [{ ...target, cause: causeOf(event) }] : [],
    ),
  };
}

interface Asked {
  readonly target: MemberTarget;
  readonly event: AdminEvent;
  /** For what the Enterprise Groups log tells. */
  readonly change?: MembershipChange;
}

function adminTargets(event: AdminEvent): readonly MemberTarget[] {
  const { orgUnitPath, ...whom } = targetOf(event);
  return [
    ...(whom.address === undefined ? [] : [{ ...whom, address: whom.address }]),
    ...(orgUnitPath === undefined ? [] : [{ orgUnitPath }]),
  ];
}
