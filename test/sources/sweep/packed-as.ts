import type { SweptUser } from '../../../shared/ports/ledger/sweeps.ts';
import { packed } from '../../support/fakes/ledger/sweeps.ts';

/** The record of a user of whom a sweep is to read exactly this. */
export const packedAs = ({ hasLeftScope, isSuspended, isDeleted, isObserved, ...row }: SweptUser): Buffer =>
  packed({
    ...row,
    ...(hasLeftScope ? { leftScopeAt: new Date(0) } : {}),
    ...(isSuspended ? { suspendedAt: new Date(0) } : {}),
    ...(isDeleted ? { deletedAt: new Date(0) } : {}),
    ...(isObserved ? { nextAction: 'observe-again' } : {}),
  });
