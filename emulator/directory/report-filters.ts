/**
 * `filters` of the Reports API: parameters of one event compared with values, all of which must hold. A parameter that the
 * event does not have gives an empty report, and of one that is named twice the last value counts.
 */
import { badRequest } from './refusals.ts';

const CLAUSE = /^([A-Za-z_]+)(==|<>|<=|>=|<|>)(.+)$/;

type Comparison = '==' | '<>' | '<' | '<=' | '>' | '>=';

export function parseReportFilters(
  filters: string,
  eventName: string | undefined,
): (parameters: Readonly<Record<string, string>>) => boolean {
  if (filters === '') return () => true;
  if (eventName === undefined) throw badRequest('Filters need an event name.');
  const clauses = new Map<string, { readonly by: Comparison; readonly value: string }>();
  for (const clause of filters.split(',')) {
    const [, name, by, value] = CLAUSE.exec(clause) ?? [];
    if (name === undefined || by === undefined || value === undefined)
      throw badRequest(`Invalid filter '${clause}'.`);
    clauses.set(name, { by: by as Comparison, value });
  }
  return (parameters) =>
    [...clauses].every(([name, { by, value }]) => {
      const given = parameters[name];
      return given !== undefined && holds(given, by, value);
    });
}

/** Numbers by their value, anything else as text. */
function holds(given: string, by: Comparison, value: string): boolean {
  const areNumbers = /^-?\d+$/.test(given) && /^-?\d+$/.test(value);
  const [left, right] = areNumbers ? [Number(given), Number(value)] : [given, value];
  switch (by) {
    case '==':
      return left === right;
    case '<>':
      return left !== right;
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
  }
}
