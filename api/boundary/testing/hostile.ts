/**
 * Schemas against texts that are written to take long: regular expressions that go back. A control process has one thread; a request
 * that holds it for seconds holds everybody's.
 */
import assert from 'node:assert/strict';
import type { TSchema } from 'typebox';
import { oneEach } from '../actions.ts';
import { faultsOf, fits } from '../check.ts';
import { type RouteEntry, Versions } from '../contract.ts';

/** Shorter ones first: what takes the cube of a length must be found before it is asked for a long one. */
const hostileTexts = [1500, 60_000].flatMap((length) =>
  [' ', 'a', '0', '-', '.', '=', '/', ':', ',', 'é', 'a-', 'a.', '1.', 'a '].map(
    (part) => `${part.repeat(length / part.length)}\u0001`,
  ),
);

/** Of processor time, so that a busy machine is no fault; what is meant takes minutes. */
const limitMs = 1000;

/** @param seen what has been held already, for most routes share most of their types */
export function holdSchemaToTime(schema: TSchema, name: string, seen = new Set<unknown>()): void {
  if (typeof schema !== 'object' || schema === null || seen.has(schema)) return;
  seen.add(schema);
  for (const [key, part] of Object.entries(schema)) {
    if (typeof part === 'object') holdSchemaToTime(part as TSchema, `${name}/${key}`, seen);
  }
  if (!('pattern' in schema || '~refine' in schema)) return;
  const kind = kindOf(schema);
  if (seen.has(kind)) return;
  seen.add(kind);
  for (const text of hostileTexts) {
    const before = process.cpuUsage();
    if (!fits(schema, text)) faultsOf(schema, text);
    const { user } = process.cpuUsage(before);
    assert.ok(user / 1000 < limitMs, `${name} took ${user / 1000} ms for ${text.length} times ${text.slice(0, 2)}`);
  }
}

/** Versions of a body make the same types again: those that are judged by the same code take the same time. */
const kindOf = (schema: object): string =>
  JSON.stringify([
    schema,
    (schema as { '~refine'?: { check: unknown }[] })['~refine']?.map(({ check }) => String(check)),
  ]);

/** Every schema of what may come in. */
export function holdRoutesToTime(entries: readonly RouteEntry[]): void {
  const seen = new Set<unknown>();
  for (const { method, url, contract } of entries.flatMap(oneEach)) {
    for (const schema of [contract.query, contract.headers, contract.body, ...Object.values(contract.path ?? {})]) {
      if (schema === undefined) continue;
      const all = schema instanceof Versions ? schema.ranges().map((range) => range.schema) : [schema];
      for (const one of all) holdSchemaToTime(one, `${method} ${url}`, seen);
    }
  }
}
