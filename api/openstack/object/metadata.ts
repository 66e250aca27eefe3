/** Metadata in headers: `X-Object-Meta-Colour: blue` and what takes it away again. Names are kept in lower case. */

import type { HeaderTexts } from '../../boundary/headers.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { swiftLimits as limits } from './limits.ts';

export type Owner = 'account' | 'container' | 'object';

export interface MetadataChange {
  set: Record<string, string>;
  remove: string[];
}

/** An empty value removes with accounts and containers, and is a value with objects. Removal comes before what is set. */
export function metadataChange(headers: HeaderTexts, owner: Owner): MetadataChange {
  const prefix = `x-${owner}-meta-`;
  const removePrefix = `x-remove-${owner}-meta-`;
  const set: Record<string, string> = {};
  const remove = new Set<string>();
  for (const [header, value] of Object.entries(headers)) {
    if (header.startsWith(removePrefix)) remove.add(header.slice(removePrefix.length));
    if (!header.startsWith(prefix)) continue;
    const name = header.slice(prefix.length);
    if (value === '' && owner !== 'object') remove.add(name);
    else set[name] = value;
  }
  requireLimits(set, owner);
  return { set, remove: [...remove].filter((name) => !Object.hasOwn(set, name)) };
}

/** @throws Refusal in Swift's words */
function requireLimits(metadata: Readonly<Record<string, string>>, owner: Owner): void {
  const entries = Object.entries(metadata);
  let bytes = 0;
  for (const [name, value] of entries) {
    if (name === '') throw new Refusal('invalid', 'Metadata name cannot be empty');
    const lengths = [Buffer.byteLength(name), Buffer.byteLength(value)] as const;
    if (lengths[0] > limits.metadataNameBytes) {
      throw new Refusal('invalid', `Metadata name too long: X-${owner}-Meta-${name}`);
    }
    if (lengths[1] > limits.metadataValueBytes) {
      throw new Refusal('invalid', `Metadata value longer than ${limits.metadataValueBytes}: X-${owner}-Meta-${name}`);
    }
    bytes += lengths[0] + lengths[1];
  }
  if (entries.length > limits.metadataCount) {
    throw new Refusal('invalid', `Too many metadata items; max ${limits.metadataCount}`);
  }
  if (bytes > limits.metadataWholeBytes) {
    throw new Refusal('invalid', `Total metadata too large; max ${limits.metadataWholeBytes}`);
  }
}

/** As Swift writes a header's name. */
const titled = (name: string): string =>
  name.replace(/(^|-)([a-z])/g, (_, dash, letter) => dash + letter.toUpperCase());

export const metadataHeaders = (metadata: Readonly<Record<string, string>>, owner: Owner): Record<string, string> =>
  Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [
      headerName(`X-${titled(owner)}-Meta-${titled(name)}`),
      inHeader(value),
    ]),
  );

/** Node writes headers as Latin-1: so UTF-8 goes as its bytes. Forms and archives bring in what no header can have. */
export const inHeader = (text: string): string => Buffer.from(text.replace(controls, ' '), 'utf8').toString('latin1');
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are meant
const controls = /[\0-\x08\x0a-\x1f\x7f]/g;

/** Of metadata that another dialect keeps, a name may have what no header's name can. */
const headerName = (name: string): string => encodeURIComponent(name).replaceAll('%', '_').replaceAll(/[()]/g, '_');
