/**
 * Routes that do several things: the only member of the body names which, and its value says how (Nova's `action`). Each has
 * a contract of its own, so that a new one is a line of a table. Pure.
 */
import { Type } from 'typebox';
import { type ActionContract, type Contract, type RouteEntry, Versions } from './contract.ts';

/** What a body asks for. */
export interface Chosen<A extends ActionContract = ActionContract> {
  name: string;
  action: A;
  argument: unknown;
}

/** @returns undefined where the body names no action or several, or one that there is not */
export function chosenAction<A extends ActionContract>(
  actions: Readonly<Record<string, A>>,
  body: unknown,
): Chosen<A> | undefined {
  const name = onlyMember(body);
  if (name === undefined || !Object.hasOwn(actions, name)) return undefined;
  return { name, action: actions[name]!, argument: (body as Record<string, unknown>)[name] };
}

export function onlyMember(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined;
  const names = Object.keys(body);
  return names.length === 1 ? names[0] : undefined;
}

export const hasVersion = ({ from = 0, to = Number.POSITIVE_INFINITY }: Contract['versions'] = {}, version: number) =>
  from <= version && version <= to;

/** The body of an action in whole, as it is written on the wire. */
export function wholeBody(name: string, { body = Type.Unknown() }: ActionContract): Versions {
  const whole = (schema: ReturnType<Versions['at']>) =>
    Type.Object({ [name]: schema }, { additionalProperties: false });
  if (!(body instanceof Versions)) return new Versions({ 1: () => whole(body) });
  const starts = Object.keys(body.brackets).map(Number);
  return new Versions(Object.fromEntries(starts.map((start) => [start, () => whole(body.at(start))])));
}

/** A route with actions as that many entries, each with one action's contract. */
export const oneEach = (entry: RouteEntry): RouteEntry[] =>
  entry.contract.actions
    ? Object.entries(entry.contract.actions).map(([name, action]) => ({
        ...entry,
        contract: { ...action, body: wholeBody(name, action) },
      }))
    : [entry];
