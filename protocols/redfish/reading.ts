/** What of a service's answers is believed: texts bounded and printable, paths of that service only. Pure. */
import { BmcError, plain } from '../bmc/index.ts';

export type Json = Readonly<Record<string, unknown>>;

const maxPath = 512;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const objectAt = (from: unknown, name: string): Json => {
  const value = isObject(from) ? from[name] : undefined;
  return isObject(value) ? value : {};
};

export const listAt = (from: unknown, name: string): readonly unknown[] => {
  const value = isObject(from) ? from[name] : undefined;
  return Array.isArray(value) ? value : [];
};

/** @throws BmcError `malformed` where it leads anywhere else than to a resource of the service */
export function pathOf(value: unknown, origin: string): string {
  const text = isObject(value) ? value['@odata.id'] : value;
  if (typeof text !== 'string' || text.length > maxPath) throw new BmcError('malformed', 'a link is missing');
  // Some services give whole addresses where the standard wants paths.
  const path = text.startsWith(`${origin}/`) ? text.slice(origin.length) : text;
  if (!/^\/redfish\/v1\/[\x21-\x7e]*$/.test(path) || path.includes('..') || path.includes('#'))
    throw new BmcError('malformed', `a link leads out of the service: ${plain(text, 100)}`);
  return path;
}

/** As {@link pathOf}; undefined where there is none. */
export const linkAt = (from: unknown, name: string, origin: string): string | undefined => {
  const value = isObject(from) ? from[name] : undefined;
  return value === undefined || value === null ? undefined : pathOf(value, origin);
};

/** Of a refusal, in the service's own words (`@Message.ExtendedInfo`). */
export function refusalOf(body: unknown): string {
  const error = objectAt(body, 'error');
  const [first] = listAt(error, '@Message.ExtendedInfo');
  const said = objectAt({ first }, 'first');
  return plain(said.Message) || plain(said.MessageId) || plain(error.message);
}
