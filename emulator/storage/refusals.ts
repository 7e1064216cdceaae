/** Errors in the words of Cloud Storage's JSON API: https://cloud.google.com/storage/docs/json_api/v1/status-codes */
import type { Caller } from '../core/access-tokens.ts';
import { GoogleError, notFound } from '../core/google-error.ts';

export type StoragePermission = `storage.objects.${'create' | 'delete' | 'get' | 'list'}`;

export const invalid = (message: string) => new GoogleError(400, 'invalid', message);

export const required = (message: string) => new GoogleError(400, 'required', message);

export const unsupported = (message: string) => new GoogleError(501, 'notImplemented', message);

export const noBucket = () => notFound('The specified bucket does not exist.');

export const noObject = (bucket: string, name: string) => notFound(`No such object: ${bucket}/${name}`);

export const conditionNotMet = () =>
  new GoogleError(412, 'conditionNotMet', 'At least one of the pre-conditions you specified did not hold.', {
    location: 'If-Match',
    locationType: 'header',
  });

export function accessDenied(caller: Caller | undefined, permission: StoragePermission): GoogleError {
  const who = caller === undefined ? 'Anonymous caller' : caller.email;
  const message = `${who} does not have ${permission} access to the Google Cloud Storage object. Permission '${permission}' denied on resource (or it may not exist).`;
  return caller === undefined
    ? new GoogleError(401, 'required', message, { location: 'Authorization', locationType: 'header' })
    : new GoogleError(403, 'forbidden', message);
}
