/** A fake whose state can be put back to what it was. */
export interface Saved {
  /** Keeps a copy of the state; the function it answers puts that copy back, as often as wanted. */
  save(): () => void;
}

/** State behind a fake: read and changed through `now`, copied as a whole. */
export interface StateCell<T> extends Saved {
  now: T;
}

export function stateCell<T>(initial: T): StateCell<T> {
  const cell: StateCell<T> = {
    now: initial,
    save: () => {
      const copy = structuredClone(cell.now);
      return () => {
        cell.now = structuredClone(copy);
      };
    },
  };
  return cell;
}

/** `save` of a fake whose state is lists that others hold too: they are filled anew, not replaced. */
export const savedLists =
  (...lists: readonly unknown[][]): Saved['save'] =>
  () => {
    const copies = lists.map((list) => [...list]);
    return () => {
      for (const [at, list] of lists.entries()) list.splice(0, list.length, ...(copies[at] ?? []));
    };
  };
