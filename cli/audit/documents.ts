/** Entries and checkpoints of the audit trail as the admin API answers them and exports hold them. */
import { z } from 'zod';
import type { CheckpointDocument, EntryDocument } from '../../shared/audit/document.ts';

const number = z.string().regex(/^\d{1,18}$/);
const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);

const cause = z.object({
  source: z.enum(['watch', 'audit', 'sweep', 'due', 'admin']),
  eventId: z.string(),
  event: z.string(),
  actor: z.string().exactOptional(),
  at: z.iso.datetime().exactOptional(),
});

const grace = z.object({
  endedAt: z.iso.datetime(),
  seconds: z.number(),
  secondsToRevocation: z.number(),
  secondsToCrl: z.number().exactOptional(),
});

const held = z.object({
  set: number,
  seconds: z.number(),
  approvedAt: z.iso.datetime(),
  secondsToRevocation: z.number(),
  secondsToCrl: z.number().exactOptional(),
});

export const entryDocument: z.ZodType<EntryDocument> = z.object({
  kind: z.literal('entry'),
  id: number,
  at: z.iso.datetime(),
  userId: z.string().exactOptional(),
  cause,
  step: z.string(),
  reason: z.string(),
  outcome: z.enum(['intended', 'done', 'adopted', 'already', 'failed', 'refused', 'ignored']),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).exactOptional(),
  place: number,
  previousSha256Hex: sha256Hex,
  sha256Hex,
  revocation: z
    .object({
      serialHex: z.string(),
      issuerId: z.string(),
      crlNumber: z.string().exactOptional(),
      crlPublishedAt: z.string().exactOptional(),
      secondsFromEvent: z.number().exactOptional(),
      secondsFromEventToCrl: z.number().exactOptional(),
      eventTimeFrom: z.enum(['source', 'directory', 'first-look']).exactOptional(),
      begunBy: z.object({ entry: number, cause }).exactOptional(),
      grace: grace.exactOptional(),
      held: held.exactOptional(),
    })
    .exactOptional(),
});

export const checkpointDocument: z.ZodType<CheckpointDocument> = z.object({
  kind: z.literal('checkpoint'),
  number,
  lastEntryId: number,
  statement: z.string(),
  signed: z.base64().exactOptional(),
});

/** One line of an export. */
export const trailDocument = z.union([entryDocument, checkpointDocument]);

export const entryPage = z.looseObject({ entries: z.array(entryDocument), next: z.string().optional() });
export const chainEndPage = z.looseObject({
  chains: z.array(z.object({ chain: z.string(), place: number, sha256Hex })),
  next: z.string().optional(),
});
export const checkpointPage = z.looseObject({
  checkpoints: z.array(checkpointDocument),
  next: z.string().optional(),
});
