/** What a schema consists of, as sorted lines, to compare two databases. */
import type { Database } from '../../shared/adapters/ledger/database.ts';

/** Columns, constraints, indexes, triggers, functions and sequences of the current schema. */
export const schemaOf = async (database: Database): Promise<readonly string[]> => {
  const rows = await database.query<{ line: string }>(`
    WITH mine AS (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    SELECT format('column %s.%s %s %s %s %s', class.relname, attribute.attname,
                  format_type(attribute.atttypid, attribute.atttypmod), attribute.attnotnull, attribute.attidentity,
                  pg_get_expr(def.adbin, def.adrelid)) AS line
      FROM pg_attribute AS attribute
      JOIN pg_class AS class ON class.oid = attribute.attrelid AND class.relkind = 'r'
      LEFT JOIN pg_attrdef AS def ON def.adrelid = class.oid AND def.adnum = attribute.attnum
     WHERE class.relnamespace = (SELECT oid FROM mine) AND attribute.attnum > 0 AND NOT attribute.attisdropped
    UNION ALL
    SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
      FROM pg_constraint WHERE connamespace = (SELECT oid FROM mine)
    UNION ALL
    SELECT format('index %s', indexdef) FROM pg_indexes WHERE schemaname = current_schema()
    UNION ALL
    SELECT format('trigger %s', pg_get_triggerdef(pg_trigger.oid)) FROM pg_trigger
      JOIN pg_class ON pg_class.oid = tgrelid
     WHERE NOT tgisinternal AND relnamespace = (SELECT oid FROM mine)
    UNION ALL
    SELECT format('function %s', pg_get_functiondef(oid)) FROM pg_proc WHERE pronamespace = (SELECT oid FROM mine)
    UNION ALL
    SELECT format('sequence %s', relname) FROM pg_class
     WHERE relkind = 'S' AND relnamespace = (SELECT oid FROM mine)`);
  return rows.map((row) => row.line).sort();
};
