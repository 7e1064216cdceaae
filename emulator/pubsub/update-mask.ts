import { invalidArgument } from '../core/google-error.ts';

/**
 * The top-level fields an `updateMask` names, in camel case. Google's JSON takes both `push_config` and `pushConfig`.
 * Throws 400 for an empty mask, for a field the resource does not have and for one that cannot be changed.
 */
export function maskedPaths(
  mask: string,
  resource: 'Topic' | 'Subscription',
  known: readonly string[],
  updatable: readonly string[],
): readonly string[] {
  const paths = mask.split(',').filter((path) => path !== '');
  if (paths.length === 0) {
    throw invalidArgument(
      `The update_mask in the Update${resource}Request must be set, and must contain a non-empty paths list.`,
    );
  }
  return paths.map((path) => {
    const field = path.trim().replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
    if (!known.includes(field)) {
      throw invalidArgument(
        `Invalid update_mask provided in the Update${resource}Request: '${path}' is not a known ${resource} field. Note that field paths must be of the form 'push_config' rather than 'pushConfig'.`,
      );
    }
    if (!updatable.includes(field)) {
      throw invalidArgument(
        `Invalid update_mask provided in the Update${resource}Request: the '${path}' field in the ${resource} is not mutable.`,
      );
    }
    return field;
  });
}
