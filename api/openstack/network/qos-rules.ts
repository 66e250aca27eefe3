/**
 * Rules of QoS policies below their policy, by themselves under Neutron's alias, and the types of rules that there are. Neutron's router
 * writes the alias's path with dashes, its documentation with underscores: both are here.
 */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import { isAdmin } from '../../../control/kit/caller.ts';
import { notFound } from '../../../control/kit/refusal.ts';
import { forbidden } from '../../../control/kit/rows.ts';
import { type QosRuleRow, qosPolicyListing, qosRuleListing } from '../../../control/network/qos-policy/qos-policy.ts';
import { qosRuleKinds } from '../../../control/network/qos-policy/rule.ts';
import type { QosPolicyService, QosRuleWish } from '../../../control/network/qos-policy/service.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { readPost, readPut } from './attributes.ts';
import { answers, fieldsQuery, listQuery, postBody, putBody } from './contracts.ts';
import { neutronRefusal } from './fault.ts';
import { pageLinks, type RawQuery, readListQuery } from './list-query.ts';
import { type RuleKind, ruleDefaults, ruleKinds, ruleTypes, ruleView } from './qos-rule-kinds.ts';
import { idOf } from './resource.ts';
import { shortList, shortQuery } from './short-list.ts';

type BaseUrl = (request: FastifyRequest) => string;

export function addQosRules(app: Boundary, baseUrl: BaseUrl, service: QosPolicyService): void {
  for (const one of ruleKinds) {
    addOfPolicy(app, baseUrl, service, one);
    const path = `qos/policies/:policy/${one.plural}`;
    addSingle(app, service, one, { path, single: one.single, policyOf });
    for (const alias of [`alias-${one.plural.replaceAll('_', '-')}`, `alias_${one.plural}`]) {
      addSingle(app, service, one, { path: `qos/${alias}`, single: `alias_${one.single}`, policyOf: () => undefined });
    }
  }
  addRefused(app);
  addRuleTypes(app);
}

function policyOf(request: FastifyRequest): string {
  const { policy } = request.params as { policy: string };
  const id = parseId(policy);
  if (id === undefined) throw notFound(qosPolicyListing.noun, policy.slice(0, 255));
  return id;
}

/** The rules of one policy and kind: list and make. */
function addOfPolicy(app: Boundary, baseUrl: BaseUrl, service: QosPolicyService, one: RuleKind): void {
  const { kind, single, plural, attributes } = one;
  const noun = single.replaceAll('_', ' ');
  const shown = answers(one);
  const list = {
    summary: `List ${noun}s of a QoS policy`,
    rights: 'reader',
    query: listQuery(attributes, qosRuleListing.columns),
    answers: { 200: shown.list },
    explain: { query: (raw: unknown) => readListQuery(raw as RawQuery, attributes, qosRuleListing, { admin: true }) },
  } as const;
  app.get(`/v2.0/qos/policies/:policy/${plural}`, list, async (request) => {
    const [caller, raw, policy] = [callerOf(request), request.query as RawQuery, policyOf(request)];
    const { query, fields } = readListQuery(raw, attributes, qosRuleListing, { admin: isAdmin(caller) });
    const rows = await service.listRules(caller, policy, kind, query);
    const ids = rows.map(({ id }) => id);
    const links = pageLinks(`${baseUrl(request)}/v2.0/qos/policies/${policy}/${plural}`, raw, query, ids);
    return {
      [plural]: rows.map((row) => chosen(row, fields)),
      ...(links.length > 0 ? { [`${plural}_links`]: links } : {}),
    };
  });
  const create = {
    summary: `Create a ${noun}`,
    rights: 'admin',
    body: postBody(one),
    answers: { 201: shown.made },
    explain: { body: (body: unknown) => readPost(one, attributes, body) },
  } as const;
  app.post(`/v2.0/qos/policies/:policy/${plural}`, create, async (request, reply) => {
    // Neutron's right to make rules is asked for before the policy is looked for.
    if (!isAdmin(callerOf(request))) throw forbidden(`create_policy_${kind}_rule`);
    const { bulk, wishes } = readPost(one, attributes, request.body);
    const complete = wishes.map((wish) => ({ ...ruleDefaults[kind], ...wish }) as QosRuleWish);
    const rows = await service.createRules(callerOf(request), policyOf(request), kind, complete);
    const views = rows.map(ruleView);
    return reply.code(201).send(bulk ? { [plural]: views } : { [single]: views[0] });
  });
}

interface SinglePath {
  path: string;
  /** Key of the rule in bodies. */
  single: string;
  policyOf: (request: FastifyRequest) => string | undefined;
}

/** One rule: show, change and delete. */
function addSingle(app: Boundary, service: QosPolicyService, one: RuleKind, at: SinglePath): void {
  const { kind, attributes } = one;
  const { single } = at;
  const noun = one.single.replaceAll('_', ' ');
  const shown = answers({ ...one, single });
  const id = (request: FastifyRequest) => idOf(request, { listing: qosRuleListing });
  const show = {
    summary: `Show a ${noun}`,
    rights: 'reader',
    query: fieldsQuery,
    answers: { 200: shown.onePart },
  } as const;
  app.get(`/v2.0/${at.path}/:id`, show, async (request) => {
    const { fields } = request.query as RawQuery;
    const row = await service.readRule(callerOf(request), at.policyOf(request), kind, id(request));
    return { [single]: chosen(row, fields === undefined ? undefined : [fields].flat()) };
  });
  const update = {
    summary: `Change a ${noun}`,
    rights: 'admin',
    body: putBody({ single, attributes }),
    answers: { 200: shown.one },
    explain: { body: (body: unknown) => readPut(single, attributes, body) },
  } as const;
  app.put(`/v2.0/${at.path}/:id`, update, async (request) => {
    const wish = readPut(single, attributes, request.body) as QosRuleWish;
    const row = await service.updateRule(callerOf(request), at.policyOf(request), kind, id(request), wish);
    return { [single]: ruleView(row) };
  });
  const remove = { summary: `Delete a ${noun}`, rights: 'admin', answers: { 204: null } } as const;
  app.delete(`/v2.0/${at.path}/:id`, remove, async (request, reply) => {
    await service.deleteRule(callerOf(request), at.policyOf(request), kind, id(request));
    return reply.code(204).send();
  });
}

const chosen = (row: QosRuleRow, fields: readonly string[] | undefined) =>
  Object.fromEntries(Object.entries(ruleView(row)).filter(([name]) => !fields || fields.includes(name)));

const noRuleType = (type: string) =>
  neutronRefusal('not_found', 'QosRuleTypeNotFound', `QoS rule type ${type.slice(0, 80)} could not be found.`);

/** Types of Neutron's that nothing here could keep (docs/mapping-ovn.md): refused by name, where others are told that there is no such page. */
function addRefused(app: Boundary): void {
  for (const type of ['packet_rate_limit', 'minimum_packet_rate']) {
    const create = {
      summary: `Refused: ${type} rules`,
      rights: 'admin',
      body: Type.Unknown(),
      answers: { 404: null },
    } as const;
    app.post(`/v2.0/qos/policies/:policy/${type}_rules`, create, async (request) => {
      throw isAdmin(callerOf(request)) ? noRuleType(type) : forbidden(`create_policy_${type}_rule`);
    });
  }
}

const parameter = a.record({
  parameter_name: a.text,
  parameter_type: a.text,
  parameter_values: Type.Union([
    a.record({ start: a.integer, end: a.integer }),
    Type.Array(Type.Union([a.text, a.integer])),
  ]),
});
const drivers = a.list({ name: a.text, supported_parameters: Type.Array(parameter) });

/** There is one driver, so what works somewhere works everywhere: the filters of Neutron change nothing. */
function addRuleTypes(app: Boundary): void {
  const list = {
    summary: 'List the types of QoS rules',
    rights: 'reader',
    query: shortQuery('type', 'all_rules', 'all_supported'),
    answers: { 200: a.record({ rule_types: Type.Array(Type.Partial(a.record({ type: a.text }))) }) },
  } as const;
  app.get('/v2.0/qos/rule-types', list, async (request) => {
    // Whichever is asked for, all rules or those that all drivers have: one driver carries out all of them.
    const { all_rules: _all, all_supported: _supported, ...raw } = request.query as RawQuery;
    return {
      rule_types: shortList(
        qosRuleKinds.map((type) => ({ type })),
        raw,
        ['type'],
      ),
    };
  });
  const show = {
    summary: 'Show a type of QoS rules',
    rights: 'admin',
    answers: { 200: a.record({ rule_type: a.record({ type: a.text, drivers }) }) },
  } as const;
  app.get('/v2.0/qos/rule-types/:type', show, async (request) => {
    const { type } = request.params as { type: string };
    if (!isAdmin(callerOf(request))) throw forbidden('get_rule_type');
    const kind = qosRuleKinds.find((one) => one === type);
    if (kind === undefined) throw noRuleType(type);
    return { rule_type: { type: kind, drivers: [{ name: 'ovn', supported_parameters: ruleTypes[kind] }] } };
  });
}
