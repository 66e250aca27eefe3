/** Holds every answer that a test gets to the schema of its route. Tests only: in production answers are not looked at. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import type { Dialect } from '../../server.ts';
import { chosenAction } from '../actions.ts';
import { faultsOf, fits } from '../check.ts';
import { type Contract, type RouteEntry, Versions } from '../contract.ts';
import { oddTime } from './times.ts';

/** Before the dialects are registered. An answer that breaks its contract becomes a 500, so that its test fails. */
export function holdAnswers(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply, payload) => {
    const { contract } = request.routeOptions.config;
    // What one of several operations answers its dialect sends itself.
    if (!contract || contract.operations || reply.statusCode >= 400) return payload;
    const { answers } = (contract.actions && chosenAction(contract.actions, request.body)?.action) ?? contract;
    const why = misfit(answers, request, reply.statusCode, payload);
    if (why === undefined) return payload;
    const message = `${request.method} ${request.url}: ${why}`;
    console.error(message);
    throw new Error(message);
  });
}

function misfit(
  answers: Contract['answers'],
  request: FastifyRequest,
  status: number,
  payload: unknown,
): string | undefined {
  if (!Object.hasOwn(answers, status)) return `its contract knows no answer ${status}`;
  const answer = answers[status]!;
  const empty = payload === undefined || payload === null || payload === '';
  if (request.method === 'HEAD' || typeof answer === 'string') return undefined;
  if (answer === null) return empty ? undefined : `${status} has a body`;
  const schema: TSchema = answer instanceof Versions ? answer.at(request.microversion ?? 1) : answer;
  // A version of the answer that is null has no body.
  if (empty) return fits(schema, null) ? undefined : `${status} has no body`;
  const document: unknown = JSON.parse(String(payload));
  if (fits(schema, document)) return oddTime(request.url, document);
  return `${status} breaks its schema: ${JSON.stringify(faultsOf(schema, document).slice(0, 3))} in ${String(payload).slice(0, 2000)}`;
}

/** The table of all routes that are registered from now on; those without a contract are in `strangers`. */
export function routeTable(app: FastifyInstance): { entries: RouteEntry[]; strangers: string[] } {
  const table: ReturnType<typeof routeTable> = { entries: [], strangers: [] };
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.refusesMethod) return;
    const { operations } = config?.contract ?? {};
    if (operations) {
      table.entries.push(...operations);
      return;
    }
    for (const one of [method].flat()) {
      const { contract } = config ?? {};
      if (contract) table.entries.push({ method: one, url, contract });
      else table.strangers.push(`${one} ${url}`);
    }
  });
  return table;
}

/** For an API that takes dialects only: the first of them, it holds the answers of those after it and lists their routes. */
export function observer(): { dialect: Dialect; entries: RouteEntry[]; strangers: string[] } {
  const entries: RouteEntry[] = [];
  const strangers: string[] = [];
  const plugin = async (app: FastifyInstance) => {
    holdAnswers(app);
    const table = routeTable(app);
    table.entries = entries;
    table.strangers = strangers;
  };
  // Fastify's word for: no scope of its own, so that hooks are also of those that come after.
  return {
    dialect: { prefix: '', plugin: Object.assign(plugin, { [Symbol.for('skip-override')]: true }) },
    entries,
    strangers,
  };
}
