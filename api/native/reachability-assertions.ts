/** /native/v1/reachability-assertions: what must, or must never, get from one end to another. Its project's. */
import { type Static, Type } from 'typebox';
import type { IpVersion } from '../../control/kit/address.ts';
import type {
  AssertionWish,
  Finding,
  ReachabilityAssertionRow,
  ReachabilityAssertionService,
} from '../../control/network/reachability-assertion/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import { assertionList, oneAssertion } from './documents.ts';
import { idText, numberText, parameters } from './query.ts';
import { openPortsOf, stopsOf } from './reachability.ts';

const exact = { additionalProperties: false } as const;
const changeable = {
  name: Type.Optional(Type.String({ maxLength: 255 })),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  on_violation: Type.Optional(Type.Enum(['refuse', 'alarm'])),
};
const end = Type.String({ minLength: 1, maxLength: 64 });
const wish = Type.Object(
  {
    kind: Type.Enum(['must', 'never']),
    from: end,
    to: end,
    protocol: Type.Optional(Type.String({ minLength: 1, maxLength: 16 })),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
    version: Type.Optional(Type.Enum([4, 6])),
    project_id: Type.Optional(idText),
    ...changeable,
  },
  exact,
);

const list = {
  summary: 'List reachability assertions',
  rights: 'caller',
  query: parameters({
    state: Type.Optional(Type.Enum(['holds', 'violated', 'unknown'])),
    limit: Type.Optional(numberText(1, 1000)),
    marker: Type.Optional(idText),
  }),
  answers: { 200: assertionList },
} as const;
const create = {
  summary: 'Assert that one end must, or must never, reach another',
  rights: 'caller',
  body: Type.Object({ reachability_assertion: wish }, exact),
  answers: { 201: oneAssertion },
} as const;
const show = { summary: 'Show a reachability assertion', rights: 'caller', answers: { 200: oneAssertion } } as const;
const update = {
  summary: 'Rename a reachability assertion, or say what becomes of who breaks it',
  rights: 'caller',
  body: Type.Object({ reachability_assertion: Type.Object(changeable, exact) }, exact),
  answers: { 200: oneAssertion },
} as const;
const remove = { summary: 'Remove a reachability assertion', rights: 'caller', answers: { 204: null } } as const;

export function reachabilityAssertionRoutes(app: Boundary, service: ReachabilityAssertionService): void {
  app.get('/v1/reachability-assertions', list, async (request) => {
    const { state, limit, marker } = request.query;
    const found = await service.list(callerOf(request), {
      limit: Number(limit ?? 100),
      ...(state !== undefined && { filters: [{ column: 'state', values: [state] }] }),
      ...(marker !== undefined && { marker }),
    });
    return { reachability_assertions: found.map(document) };
  });
  app.post('/v1/reachability-assertions', create, async (request, reply) => {
    reply.code(201);
    const made = await service.create(callerOf(request), wishOf(request.body.reachability_assertion));
    return { reachability_assertion: document(made) };
  });
  app.get('/v1/reachability-assertions/:id', show, async (request) => ({
    reachability_assertion: document(await service.read(callerOf(request), request.params.id)),
  }));
  app.patch('/v1/reachability-assertions/:id', update, async (request) => {
    const patch = given(request.body.reachability_assertion);
    return { reachability_assertion: document(await service.update(callerOf(request), request.params.id, patch)) };
  });
  app.delete('/v1/reachability-assertions/:id', remove, async (request, reply) => {
    await service.delete(callerOf(request), request.params.id);
    return reply.code(204).send();
  });
}

const wishOf = ({ version, ...said }: Static<typeof wish>): AssertionWish =>
  given({ ...said, version: version as IpVersion | undefined }) as AssertionWish;

/** Without what was not said. */
const given = <T extends object>(said: T) =>
  Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };

const document = (row: ReachabilityAssertionRow) => ({
  ...{ id: row.id, project_id: row.project_id, name: row.name, description: row.description },
  ...{ kind: row.kind, from: row.source, to: row.destination },
  ...{ version: row.ip_version, protocol: row.protocol, port: row.port, on_violation: row.on_violation },
  ...{ state: row.state, state_since: row.state_since.toISOString(), finding: findingOf(row.finding) },
  ...{ created_at: row.created_at.toISOString(), updated_at: row.updated_at.toISOString() },
});

function findingOf(finding: Finding | null) {
  if (finding === null) return null;
  if (finding.missing !== undefined) return finding;
  const { there, back, stops, open_ports } = finding;
  return { there, back, stops: stopsOf(stops), open_ports: openPortsOf(open_ports) };
}
