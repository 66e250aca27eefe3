/**
 * Headers that are input: their names in lower case with hyphens, their values as UTF-8, which Node hands over as Latin-1. A value
 * that is no UTF-8 stays as it came. A contract has a schema for those that a route reads.
 */
import type { IncomingMessage } from 'node:http';

export type HeaderTexts = Readonly<Record<string, string>>;

const texts = new WeakMap<IncomingMessage, HeaderTexts>();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What repeats is joined by commas. */
export function headersOf({ raw }: { raw: IncomingMessage }): HeaderTexts {
  let read = texts.get(raw);
  if (!read) {
    read = Object.fromEntries(
      Object.entries(raw.headers).map(([name, value]) => [name.replaceAll('_', '-'), utf8([value].flat().join(', '))]),
    );
    texts.set(raw, read);
  }
  return read;
}

function utf8(value: string): string {
  // Most are ASCII.
  if (/^[\0-\x7f]*$/.test(value)) return value;
  try {
    return decoder.decode(Buffer.from(value, 'latin1'));
  } catch {
    return value;
  }
}

/** What all names begin with that a pattern of a schema means: `^x-object-meta-` → `x-object-meta-`. */
export const headerOf = (pattern: string): string => pattern.replace(/^\^/, '').replace(/\W+$/, '-');
