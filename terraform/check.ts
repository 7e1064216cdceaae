/**
 * `npm run check:terraform`: whatever can be found wrong with this folder on any machine, without Google and without a
 * network. The parts that need the `terraform` command say so where it is missing. Ends with 1 when something is wrong.
 */
import { readConfiguration } from './check/configuration.ts';
import { findingsOf } from './check/findings.ts';
import { formatFindings, loaderFindings, terraformVersion } from './check/terraform-command.ts';

const folder = import.meta.dirname;
const configuration = await readConfiguration(folder);
const findings = [...findingsOf(configuration)];
const version = terraformVersion();
if (version !== undefined) findings.push(...formatFindings(folder), ...loaderFindings(folder));

for (const finding of findings) process.stderr.write(`${finding}\n`);
const resources = configuration.blocks.filter(({ kind }) => kind === 'resource').length;
process.stdout.write(
  findings.length > 0
    ? `terraform/: ${findings.length} found wrong.\n`
    : `terraform/: ${configuration.blocks.length} declarations, ${resources} of them resources, parse and refer to one another.\n`,
);
process.stdout.write(
  version === undefined
    ? 'The terraform command is not installed, so formatting was not checked: https://developer.hashicorp.com/terraform/install\n'
    : `Formatting and loading were checked with Terraform ${version}; what only a provider knows was not.\n`,
);
process.exitCode = findings.length > 0 ? 1 : 0;
