/**
 * S3 has three paths and some eighty operations: the method, what the path names (nothing, a bucket, a key) and parameters of the query
 * say which. Each is a line of a table, with its contract; the OpenAPI document and the tests read it as routes.
 */
import type { TSchema } from 'typebox';
import type { Contract, RouteEntry } from '../boundary/contract.ts';
import type { Call } from './call.ts';
import { notImplemented, S3Refusal } from './refusal.ts';
import { s3Prefix, type Target } from './target.ts';

export type Level = 'service' | 'bucket' | 'object';
export type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';

export interface Operation extends Pick<Contract, 'summary' | 'rights' | 'query' | 'bytes'> {
  method: Method;
  level: Level;
  /** Parameters of the query that choose it, all of them. */
  by?: readonly string[];
  /** A header that chooses it. */
  byHeader?: string;
  /** Of its body in XML; read into the form of the schema. */
  body?: TSchema;
  /** How long that may be; default: 64 KiB. */
  bodyBytes?: number;
  /** Without a body in the answer. */
  silent?: true;
  run(call: Call): Promise<void>;
}

/** By S3's names. */
export type Operations = Readonly<Record<string, Operation>>;

/** Parameters that would choose an operation that there is not. */
const missing: Readonly<Record<Level, readonly string[]>> = {
  service: [],
  bucket: [
    ...[
      'analytics',
      'intelligent-tiering',
      'inventory',
      'metrics',
      'metadataTable',
      'metadataConfiguration',
      'session',
    ],
    ...['accelerate', 'logging', 'notification', 'requestPayment', 'replication', 'ownershipControls', 'policyStatus'],
    ...['publicAccessBlock', 'encryption', 'website', 'lifecycle', 'policy', 'object-lock', 'cors', 'acl', 'tagging'],
    ...['versioning', 'versions', 'uploads', 'location', 'delete', 'abac', 'annotation'],
  ],
  object: [
    ...['torrent', 'select', 'restore', 'legal-hold', 'retention', 'acl', 'tagging', 'attributes', 'uploads', 'append'],
    ...['renameObject', 'encryption', 'annotation'],
  ],
};

const levelOf = ({ bucket, key }: Target): Level =>
  key !== undefined ? 'object' : bucket !== undefined ? 'bucket' : 'service';

/** Finds the operation of a request; those that more parameters choose come first. */
export class Chooser {
  readonly #by = new Map<string, { name: string; operation: Operation }[]>();

  constructor(operations: Operations) {
    for (const [name, operation] of Object.entries(operations)) {
      const key = `${operation.method} ${operation.level}`;
      this.#by.set(key, [...(this.#by.get(key) ?? []), { name, operation }]);
    }
    const weight = ({ by = [], byHeader }: Operation) => by.length * 2 + (byHeader ? 1 : 0);
    for (const list of this.#by.values()) list.sort((a, b) => weight(b.operation) - weight(a.operation));
  }

  /** @throws S3Refusal */
  choose(method: string, target: Target, has: (header: string) => boolean): { name: string; operation: Operation } {
    const level = levelOf(target);
    const found = this.#by
      .get(`${method} ${level}`)
      ?.find(
        ({ operation: { by = [], byHeader } }) =>
          by.every((name) => target.query.has(name)) && (byHeader === undefined || has(byHeader)),
      );
    const asked = missing[level].find((name) => target.query.has(name));
    if (asked !== undefined && !found?.operation.by?.includes(asked)) {
      throw notImplemented(`${method} of a ${level} with the parameter ${asked}`);
    }
    if (found) return found;
    throw new S3Refusal('MethodNotAllowed', 'The specified method is not allowed against this resource.', {
      Method: method.slice(0, 20),
      ResourceType: level.toUpperCase(),
    });
  }
}

const paths: Readonly<Record<Level, string>> = { service: '', bucket: '/:bucket', object: '/:bucket/:key' };

/** As routes: for documents and tests, which know a route by method and path. */
export const entriesOf = (operations: Operations): RouteEntry[] =>
  Object.entries(operations).map(([name, operation]) => ({
    method: operation.method,
    url: `${s3Prefix}${paths[operation.level]}${queryOf(operation)}`,
    contract: contractOf(name, operation),
  }));

function queryOf({ by = [], byHeader }: Operation): string {
  const chosen = [...by, ...(byHeader ? [`(${byHeader})`] : [])];
  return chosen.length === 0 ? '' : `?${chosen.join('&')}`;
}

function contractOf(name: string, { summary, rights, query, body, bytes, silent }: Operation): Contract {
  return {
    summary: `${name}: ${summary}`,
    rights,
    ...(query && { query }),
    ...(body && { body, bodyTypes: ['application/xml'] }),
    ...(bytes && { bytes }),
    answers: { 200: silent ? null : 'application/xml' },
  };
}
