/** The Directory API's refusals: HTTP status, reason and text as its clients know them. */
import { GoogleError } from '../core/google-error.ts';

/** 400 `invalid`: a value that cannot be taken, such as `Invalid Input: INVALID_OU_ID`. */
export const invalid = (message: string) => new GoogleError(400, 'invalid', message);

/** 400 `invalid` with Google's usual prefix. */
export const invalidInput = (what: string) => invalid(`Invalid Input: ${what}`);

/** 400 `badRequest`: the request contradicts itself or lacks something every request needs. */
export const badRequest = (message = 'Bad Request') => new GoogleError(400, 'badRequest', message);

/** 400 `invalidParameter`: a query parameter outside its range or its list of values. */
export const invalidParameter = (parameter: string, message: string) =>
  new GoogleError(400, 'invalidParameter', message, { location: parameter, locationType: 'parameter' });

/** 404 `notFound`: `Resource Not Found: userKey` and its kin. */
export const resourceNotFound = (what: string) =>
  new GoogleError(404, 'notFound', `Resource Not Found: ${what}`);

/** 404 `notFound` for a domain that is not the tenant's. */
export const domainNotFound = () => new GoogleError(404, 'notFound', 'Domain not found.');

/** 409 `duplicate`: an address that somebody has already. */
export const duplicate = () => new GoogleError(409, 'duplicate', 'Entity already exists.');

/** 412 `conditionNotMet`: the thing is not in the state that the method needs. */
export const conditionNotMet = (message: string) => new GoogleError(412, 'conditionNotMet', message);

/** 403 `forbidden`: the caller holds no admin right for this method. */
export const notAuthorized = () =>
  new GoogleError(403, 'forbidden', 'Not Authorized to access this resource/api');

/** 401 `authError`: the Reports API's answer to a caller without the privilege, whose token is perfectly good. */
export const notToReadActivities = () =>
  new GoogleError(401, 'authError', 'Access denied. You are not authorized to read activity records.', {
    location: 'Authorization',
    locationType: 'header',
  });
