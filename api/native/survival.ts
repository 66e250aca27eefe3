/**
 * /native/v1/survival: what would be restarted where, and what would not and why, if a host were lost, or all that share a rack, a feed or a switch with it.
 * /native/v1/hosts/{id}/failure-domains: what a host shares. For administrators.
 */
import { Type } from 'typebox';
import type { Loss, SurvivalService } from '../../control/compute/survival/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { Refusal } from '../boundary/refusal.ts';
import { callerOf } from '../openstack/common/authenticate.ts';

const exact = { additionalProperties: false } as const;
const text = Type.String();
const orNull = Type.Union([text, Type.Null()]);
const count = Type.Integer();

const loss = { kind: Type.Enum(['host', 'rack', 'feed', 'switch']), name: text, host_ids: Type.Array(text) };
const summary = Type.Object(
  {
    ...loss,
    servers: Type.Integer({ description: 'That run there, or shall' }),
    restarted: Type.Integer({ description: 'How many of them would be restarted elsewhere' }),
    down: Type.Object(
      {
        not_wanted: Type.Integer({ description: 'Nobody has asked for it' }),
        disk_kept: Type.Integer({ description: 'Its disk is there alone, and is to be kept' }),
        no_host: Type.Integer({ description: 'No host would take it' }),
      },
      exact,
    ),
    change: Type.Union([
      Type.String({ description: 'What would help most of those that no host would take' }),
      Type.Null(),
    ]),
  },
  { ...exact, title: 'Survival' },
);
const fate = Type.Object(
  {
    ...{ server_id: text, name: text, project_id: text, priority: count },
    to_host_id: Type.Union([Type.String({ description: 'Where it would be restarted' }), Type.Null()]),
    replica_age_seconds: Type.Union([
      Type.Number({ description: 'It would be restarted from replicas of its volumes, so old at most' }),
      Type.Null(),
    ]),
    replica_moment: Type.Union([
      Type.String({ description: 'All of its volumes would be as they were then; null: each as of its own moment' }),
      Type.Null(),
    ]),
    why: Type.Union([Type.Enum(['not_wanted', 'disk_kept', 'no_host']), Type.Null()]),
    ...{ message: orNull, change: orNull },
  },
  exact,
);
const all = Type.Object({ survival: Type.Array(summary) }, exact);
const one = Type.Object({ survival: Type.Object({ ...loss, servers: Type.Array(fate) }, exact) }, exact);
const name = Type.String({ minLength: 1, maxLength: 255 });
const domains = Type.Object(
  { rack: Type.Optional(name), feed: Type.Optional(name), switch: Type.Optional(name) },
  exact,
);
const ofHost = Type.Object({ failure_domains: domains }, exact);

const list = {
  summary: 'What would survive the loss of each host and failure domain',
  rights: 'admin',
  answers: { 200: all },
} as const;
const show = {
  summary: 'What would survive one loss, server by server',
  rights: 'admin',
  answers: { 200: one },
} as const;
const shown = { summary: 'Show the failure domains of a host', rights: 'admin', answers: { 200: ofHost } } as const;
const said = {
  summary: 'Say with what a host may be lost',
  rights: 'admin',
  body: ofHost,
  answers: { 200: ofHost },
} as const;

const kinds: readonly string[] = ['host', 'rack', 'feed', 'switch'] satisfies Loss['kind'][];

export function survivalRoutes(app: Boundary, survival: SurvivalService): void {
  app.get('/v1/survival', list, async (request) => ({
    survival: (await survival.summaries(callerOf(request))).map(({ loss, ...numbers }) => ({
      ...{ kind: loss.kind, name: loss.name, host_ids: [...loss.hostIds] },
      ...numbers,
    })),
  }));
  app.get('/v1/survival/:kind/:name', show, async (request) => {
    const { kind, name } = request.params;
    const caller = callerOf(request);
    const found = await survival.one(caller, {
      kind: kinds.includes(kind) ? (kind as Loss['kind']) : unknown(kind),
      name,
    });
    return {
      survival: {
        ...{ kind: found.loss.kind, name: found.loss.name, host_ids: [...found.loss.hostIds] },
        servers: found.fates.map(({ server, to, why, message, change }) => ({
          ...{ server_id: server.id, name: server.name, project_id: server.project_id, priority: server.priority },
          replica_age_seconds: to === null ? null : (server.replica_age_seconds ?? null),
          replica_moment: to === null || !server.replica_moment ? null : new Date(server.replica_moment).toISOString(),
          ...{ to_host_id: to, why, message: message || null, change: change || null },
        })),
      },
    };
  });
  app.get('/v1/hosts/:id/failure-domains', shown, async (request) => ({
    failure_domains: await survival.failureDomains(callerOf(request), request.params.id),
  }));
  app.put('/v1/hosts/:id/failure-domains', said, async (request) => ({
    failure_domains: await survival.setFailureDomains(
      callerOf(request),
      request.params.id,
      request.body.failure_domains,
    ),
  }));
}

function unknown(kind: string): never {
  throw new Refusal('not_found', `there is no kind of loss ${kind.slice(0, 100)}: ${kinds.join(', ')}`);
}
