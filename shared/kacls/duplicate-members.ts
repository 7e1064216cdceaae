/**
 * The first member name that stands twice in a JSON object, or undefined. `json` must have been parsed already: only
 * valid JSON is understood here. Only the outermost object is looked at, which is where JWT claims are.
 *
 * RFC 7519 section 4 lets a reader take the last one or refuse. Two readers that take different ones can be played off
 * against each other (the identity provider's log says Bob, we read Alice), so we refuse.
 */
export function duplicateMember(json: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  let nameIsNext = false;
  for (let at = 0; at < json.length; at += 1) {
    const character = json[at];
    if (character === '{' || character === '[') depth += 1;
    if (character === '}' || character === ']') depth -= 1;
    // In the outermost object a string is a name if a brace or a comma went before it.
    if (character === '{' || character === ',') nameIsNext = depth === 1;
    if (character !== '"') continue;
    const end = endOfString(json, at);
    if (nameIsNext) {
      const name = String(JSON.parse(json.slice(at, end + 1)));
      if (seen.has(name)) return name;
      seen.add(name);
    }
    nameIsNext = false;
    at = end;
  }
  return undefined;
}

function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at;
}
