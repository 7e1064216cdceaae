/** The synthetic company of the sweep's benchmark: user number N, as the directory lists them and as the ledger knows them. */
export const PAGE_SIZE = 500;
export const MEMBERS_PAGE_SIZE = 200;

/**
 * What the policy's one rule goes by: `unit` is the company's org unit; `named` is the same and excludes a few by name, one of them by the
 * alias of somebody; `group` is a group in which everybody is who is in that unit.
 */
export const CASES = ['unit', 'named', 'group'] as const;
export type Case = (typeof CASES)[number];

/** Excluded by their alias in the case `named`. */
export const EXCLUDED = 13;
export const ORG_UNITS = [
  '/',
  '/Contractors',
  '/Staff',
  ...Array.from({ length: 200 }, (_, department) => `/Staff/Department ${department}`),
];

/** What a benchmark process answers; times in milliseconds, without the reading of files. */
export interface SweepAnswer {
  readonly ms: number;
  readonly cpuMs: number;
  readonly peakMb: number;
  readonly loadMs: number;
  readonly parseMs: number;
  readonly checkpointMs: number;
  readonly closeMs: number;
}

/** Two in a hundred differ, in every way there is; for everybody else both sides agree. */
export function differenceAt(index: number): string | undefined {
  switch (index % 1000) {
    case 7:
    case 107:
    case 207:
    case 307:
    case 407:
      return 'renamed';
    case 57:
    case 157:
    case 257:
      return 'moved-out';
    case 77:
    case 177:
      return 'suspended';
    case 507:
    case 607:
    case 707:
    case 807:
    case 907:
      return 'new';
    case 557:
    case 657:
    case 757:
      return 'deleted';
    case 857:
    case 957:
      return 'nowhere';
    default:
      return undefined;
  }
}

interface Known {
  readonly userId: string;
  readonly primaryEmail: string;
  readonly aliases: readonly string[];
}

/** Ids are spread as Google's are; a stride that is prime to the range meets none twice. */
const idAt = (index: number): string =>
  `1${((BigInt(index) * 61_803_398_874_989_484_821n) % 10n ** 20n).toString().padStart(20, '0')}`;

export function userAt(index: number): {
  readonly userId: string;
  readonly listed?: object;
  readonly listedDeleted?: object;
  readonly known?: Known;
} {
  const userId = idAt(index);
  const difference = differenceAt(index);
  const name = `given${index}.family${(index * 7919) % 100_003}`;
  const primaryEmail = `${name}@acme.example`;
  const aliases = index % 10 === 3 ? [`${name}@mail.acme.example`] : [];
  const known = { userId, primaryEmail, aliases };
  const listed = {
    id: userId,
    primaryEmail: difference === 'renamed' ? `married.${primaryEmail}` : primaryEmail,
    ...(aliases.length > 0 ? { aliases } : {}),
    orgUnitPath: difference === 'moved-out' ? '/Contractors' : `/Staff/Department ${index % 200}`,
    suspended: difference === 'suspended',
    archived: false,
  };
  switch (difference) {
    case 'new':
      return { userId, listed };
    case 'nowhere':
      return { userId, known };
    case 'deleted':
      return {
        userId,
        known,
        listedDeleted: { id: userId, primaryEmail, deletionTime: '2026-11-28T08:00:00.000Z' },
      };
    default:
      return { userId, listed, known };
  }
}
