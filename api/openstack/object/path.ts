/**
 * What a request's target names. Read from the target as the client sent it, for a name is any UTF-8: a router that takes a slash
 * more or less for nothing, or decodes twice, would find another object.
 */

/** Decoded, each once; absent from the first that the target does not have. */
export interface Target {
  account: string;
  container?: string;
  /** May have slashes anywhere, also at its ends. */
  object?: string;
}

const base = '/object/v1/';

/** No URL parser: it would take `.`, `..` and a backslash for a way. */
const pathOf = (url: string): string => url.split('?', 1)[0]!.replace(/^https?:\/\/[^/]*/i, '');

/** The parts of the path as they stand there; undefined where it is none of an account's. */
function partsOf(url: string): string[] | undefined {
  const path = pathOf(url);
  if (!path.startsWith(base)) return undefined;
  const rest = path.slice(base.length);
  const account = rest.split('/', 1)[0]!;
  if (account === '') return undefined;
  const after = rest.slice(account.length + 1);
  if (after === '') return [account];
  const container = after.split('/', 1)[0]!;
  // Two slashes: the name of a container is missing.
  if (container === '') return undefined;
  const object = after.slice(container.length + 1);
  return object === '' ? [account, container] : [account, container, object];
}

/** Undefined: no account's path. @throws URIError for escapes that are no UTF-8 */
export function targetOf(url: string): Target | undefined {
  const parts = partsOf(url)?.map((part) => decodeURIComponent(part));
  if (!parts) return undefined;
  const [account, container, object] = parts as [string, string?, string?];
  return { account, ...(container !== undefined && { container }), ...(object !== undefined && { object }) };
}

/** A target that any router takes as one of so many parts; undefined for what is none of ours. */
export function routable(url: string): string | undefined {
  const parts = partsOf(url);
  return parts && `${base}${parts.map(() => 'x').join('/')}${url.slice(url.split('?', 1)[0]!.length)}`;
}

/** `container/object`, percent-encoded or not, with or without a slash before it: as COPY, X-Copy-From and manifests name one. */
export function namedObject(text: string): { container: string; object: string } | undefined {
  const [, container, object] = /^\/?([^/]+)\/(.+)$/s.exec(text) ?? [];
  return container !== undefined && object !== undefined ? { container, object } : undefined;
}

/** The same of a header, where it is percent-encoded. @throws URIError for escapes that are no UTF-8 */
export const namedInHeader = (text: string): ReturnType<typeof namedObject> => namedObject(decodeURIComponent(text));

/** As a path has it. */
export const encodedPath = (path: string): string => path.split('/').map(encodeURIComponent).join('/');
