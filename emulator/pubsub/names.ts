import { alreadyExists, GoogleError, invalidArgument, notFound } from '../core/google-error.ts';
import { shortName } from './resources.ts';

const RESOURCE_ID = /^[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}$/;
const PROJECT_ID = /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/;

/**
 * A full name, checked: `{collection}/{id}` below a project, the id 3 to 255 characters, starting with a letter and
 * not with `goog`. Throws 400 with Google's sentence. https://docs.cloud.google.com/pubsub/docs/pubsub-basics#resource_names
 */
export function resourceName(name: string, collection: 'topics' | 'subscriptions'): string {
  const [projects, project = '', kind, id = '', ...rest] = name.split('/');
  const wellFormed =
    projects === 'projects' &&
    PROJECT_ID.test(project) &&
    kind === collection &&
    rest.length === 0 &&
    RESOURCE_ID.test(id) &&
    !id.startsWith('goog');
  if (!wellFormed) {
    throw invalidArgument(
      `Invalid resource name given (name=${name}). Refer to https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information.`,
    );
  }
  return name;
}

export const noSuchResource = (name: string): GoogleError =>
  notFound(`Resource not found (resource=${shortName(name)}).`);

export const resourceExists = (name: string): GoogleError =>
  alreadyExists(`Resource already exists in the project (resource=${shortName(name)}).`);

/** A field that Google knows and this emulator does not act on is refused, never silently ignored. */
export const notEmulated = (field: string): GoogleError =>
  new GoogleError(501, 'notImplemented', `The emulator does not offer "${field}". Leave it out.`);
