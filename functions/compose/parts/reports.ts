import { delegatedCredentials } from '../../../shared/adapters/google/delegated-credentials.ts';
import { googleReports, REPORTS_SCOPES } from '../../../shared/adapters/reports/google-reports.ts';
import { need, type Settings } from '../../../shared/config/settings.ts';
import type { Base } from './base.ts';

/** As the directory's account by its own admin role, or acting for an admin where one is named. */
export function reportsOf(settings: Settings, base: Base) {
  const credentials = delegatedCredentials({
    signerEmail: need(settings, 'SEALWRIGHT_DIRECTORY_ACCOUNT'),
    scopes: REPORTS_SCOPES,
    ...base,
  });
  const admin = settings.SEALWRIGHT_REPORTS_ADMIN;
  const bearer = admin === undefined ? credentials.forAccount() : credentials.forUser(admin);
  return googleReports({ bearer, ...base });
}
