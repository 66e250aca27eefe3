/**
 * Filters of Cinder's that are a dictionary: clients write it as Python shows one, `{'key': 'value'}`, and some as JSON. Pure.
 */

const token = /\s*(?:u?'((?:[^'\\]|\\.)*)'|u?"((?:[^"\\]|\\.)*)"|([:,]))\s*/y;

/** @returns undefined for what is no dictionary of texts */
export function pythonDict(text: string): Record<string, string> | undefined {
  const inner = /^\{([\s\S]*)\}$/.exec(text.trim())?.[1];
  if (inner === undefined) return undefined;
  const parts: { text?: string; mark?: string }[] = [];
  for (let at = 0; at < inner.trimEnd().length; at = token.lastIndex) {
    token.lastIndex = at;
    const match = token.exec(inner);
    if (!match) return undefined;
    parts.push(
      match[3] === undefined ? { text: (match[1] ?? match[2]!).replaceAll(/\\(.)/g, '$1') } : { mark: match[3] },
    );
  }
  const found: [string, string][] = [];
  for (let at = 0; at < parts.length; at += 4) {
    const [key, colon, value, comma] = parts.slice(at, at + 4);
    if (key?.text === undefined || colon?.mark !== ':' || value?.text === undefined) return undefined;
    if (comma && comma.mark !== ',') return undefined;
    found.push([key.text, value.text]);
  }
  return Object.fromEntries(found);
}
