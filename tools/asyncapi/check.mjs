// Reads an AsyncAPI document with the reference parser, which holds it against
// the specification's own schema and follows every reference. Anything it finds
// fails the check, but for the advice to use a later version of AsyncAPI.
import { Parser, fromFile } from '@asyncapi/parser';

const path = process.argv[2];
const { document, diagnostics } = await fromFile(new Parser(), path).parse();
const faults = diagnostics.filter(({ code }) => code !== 'asyncapi-latest-version');

for (const { path: place, code, message } of faults) {
  console.error(`${path}: ${place.join('.')}: ${message} (${code})`);
}
if (!document || faults.length > 0) {
  process.exit(1);
}
const count = document.allMessages().all().length;
const read = document.allMessages().all().filter((m) => m.payload()?.properties()?.specversion).length;
if (count === 0 || read !== count) {
  console.error(`${path}: the payload of ${count - read} of ${count} messages could not be read`);
  process.exit(1);
}
console.log(`${path}: ${document.channels().all().length} channels, ${count} messages, nothing found`);
