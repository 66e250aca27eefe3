/**
 * Before 2.36 Nova handed security groups on to the network service: /os-security-groups, /os-security-group-rules, and those of a
 * server, which stay. Groups and rules are the network's; here they only have Nova's older form: rules of what may come in, ports by
 * `from_port` and `to_port` with -1 for any.
 */
import { Type } from 'typebox';
import { isCloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import type { ServerService } from '../../../control/compute/server/index.ts';
import { type Caller, isAdmin, requireProject } from '../../../control/kit/caller.ts';
import type { RuleWish } from '../../../control/network/security-group/rules.ts';
import type {
  NestedRule,
  SecurityGroupRow,
  SecurityGroupRuleRow,
} from '../../../control/network/security-group/security-group.ts';
import type { SecurityGroupService } from '../../../control/network/security-group/service.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, queryOf } from './paging.ts';
import { serverIdOf } from './servers.ts';
import * as v from './validate.ts';

const port = a.orNull(a.integer);
const rule = a.record({
  ...{ id: a.id, parent_group_id: a.id, ip_protocol: a.orNull(a.text), from_port: port, to_port: port },
  group: a.record({ name: a.some(a.text), tenant_id: a.some(a.text) }),
  ip_range: a.record({ cidr: a.some(a.text) }),
});
const securityGroup = a.record({
  ...{ id: a.id, name: a.text, description: a.text, tenant_id: a.text },
  rules: a.listOf(rule),
});

const groupBody = Type.Object({
  security_group: Type.Object({ name: v.text(0, 255), description: v.text(0, 255) }),
});
const givenPort = Type.Optional(
  Type.Union([
    Type.Integer({ minimum: -1, maximum: 65_535 }),
    Type.String({ pattern: '^(-1|[0-9]{1,5})$' }),
    Type.Null(),
  ]),
);
const perhaps = (maximum: number) => Type.Optional(Type.Union([v.text(0, maximum), Type.Null()]));
const ruleBody = Type.Object({
  security_group_rule: Type.Object({
    parent_group_id: v.text(0, 255),
    group_id: perhaps(255),
    ip_protocol: perhaps(255),
    from_port: givenPort,
    to_port: givenPort,
    cidr: perhaps(255),
  }),
});

const proxy = { versions: { to: 35 } } as const;
const one = { 200: a.record({ security_group: securityGroup }) };
const many = { 200: a.record({ security_groups: a.listOf(securityGroup) }) };
const contracts = {
  list: {
    summary: "List the project's security groups",
    rights: 'reader',
    ...proxy,
    query: a.query('all_tenants'),
    answers: many,
  },
  show: { summary: 'Show a security group', rights: 'reader', ...proxy, answers: one },
  create: { summary: 'Make a security group', rights: 'member', ...proxy, body: groupBody, answers: one },
  update: { summary: 'Change a security group', rights: 'member', ...proxy, body: groupBody, answers: one },
  remove: { summary: 'Delete a security group', rights: 'member', ...proxy, answers: { 202: null } },
  createRule: {
    summary: 'Make a rule of a security group',
    rights: 'member',
    ...proxy,
    body: ruleBody,
    answers: { 200: a.record({ security_group_rule: rule }) },
  },
  removeRule: { summary: 'Delete a rule of a security group', rights: 'member', ...proxy, answers: { 202: null } },
  ofServer: { summary: "List the security groups of a server's ports", rights: 'reader', answers: many },
} as const;

export function securityGroupRoutes(app: Boundary, groups: SecurityGroupService): void {
  app.get('/os-security-groups', contracts.list, async (request) => {
    const caller = callerOf(request);
    // Of those who are no administrators Nova overlooks it.
    const all = isAdmin(caller) && v.looseBoolean(first(queryOf(request), 'all_tenants') ?? 'false', true);
    const project = all ? null : requireProject(caller, 'list security groups');
    const filters = project === null ? [] : [{ column: 'project_id', values: [project] }];
    const sort = ['name', 'id'].map((column) => ({ column, descending: false }));
    const rows = await groups.list(caller, { filters, sort });
    return { security_groups: await groupBodies(groups, caller, rows) };
  });
  app.get('/os-security-groups/:id', contracts.show, async (request) => {
    const row = await groups.read(callerOf(request), idOf(request.params.id));
    return { security_group: await groupOf(groups, callerOf(request), row) };
  });
  app.post('/os-security-groups', contracts.create, async (request) => {
    const { name, description } = request.body.security_group;
    const [row] = await asInvalid(groups.create(callerOf(request), [{ name, description }]));
    return { security_group: await groupOf(groups, callerOf(request), row!) };
  });
  app.put('/os-security-groups/:id', contracts.update, async (request) => {
    const { name, description } = request.body.security_group;
    const wish = { name, description };
    const row = await asInvalid(groups.update(callerOf(request), idOf(request.params.id), wish));
    return { security_group: await groupOf(groups, callerOf(request), row) };
  });
  app.delete('/os-security-groups/:id', contracts.remove, async (request, reply) => {
    await asInvalid(groups.delete(callerOf(request), idOf(request.params.id)));
    return reply.code(202).send();
  });
}

export function securityGroupRuleRoutes(app: Boundary, groups: SecurityGroupService): void {
  app.post('/os-security-group-rules', contracts.createRule, async (request) => {
    const caller = callerOf(request);
    const wish = ruleWish(request.body.security_group_rule);
    const [row] = await asInvalid(groups.createRules(caller, [wish]));
    const sources = await sourcesOf(groups, caller, [row!]);
    return { security_group_rule: ruleShown(row!, sources) };
  });
  app.delete('/os-security-group-rules/:id', contracts.removeRule, async (request, reply) => {
    await asInvalid(groups.deleteRule(callerOf(request), idOf(request.params.id)));
    return reply.code(202).send();
  });
}

export function serverSecurityGroupRoutes(app: Boundary, servers: ServerService, groups: SecurityGroupService): void {
  app.get('/servers/:id/os-security-groups', contracts.ofServer, async (request) => {
    const rows = await servers.securityGroups(callerOf(request), serverIdOf(request));
    return { security_groups: await groupBodies(groups, callerOf(request), rows) };
  });
}

function idOf(text: string): string {
  const id = parseId(text);
  if (!id) throw new Refusal('invalid', 'Security group id should be uuid');
  return id;
}

/** Nova knows no conflict here: what the network service refuses for its state is an invalid request. */
const asInvalid = <T>(call: Promise<T>): Promise<T> =>
  call.catch((error: unknown) => {
    throw isCloudError(error, 'conflict') ? error.as('invalid') : error;
  });

interface AskedRule {
  parent_group_id: string;
  group_id?: string | null;
  ip_protocol?: string | null;
  from_port?: number | string | null;
  to_port?: number | string | null;
  cidr?: string | null;
}

/** @throws CloudError `invalid` for what would be a wider rule than was asked for */
function ruleWish(asked: AskedRule): RuleWish {
  const source = asked.group_id === null || asked.group_id === undefined ? null : idOf(asked.group_id);
  const protocol = asked.ip_protocol?.toLowerCase() ?? null;
  const [from, to] = [asked.from_port ?? null, asked.to_port ?? null].map((one) => (one === null ? null : Number(one)));
  const complete = protocol !== null && from !== null && to !== null;
  const bare = protocol === null && from === null && to === null;
  if (!complete && !(source !== null && bare)) {
    throw new Refusal('invalid', 'Not enough parameters to build a valid rule.');
  }
  if (protocol !== null && !['tcp', 'udp', 'icmp'].includes(protocol)) {
    throw new Refusal('invalid', `Invalid IP protocol ${protocol.slice(0, 100)}.`);
  }
  if (complete && protocol !== 'icmp' && (from! < 1 || to! < from!)) {
    throw new Refusal('invalid', `Invalid port range ${from}:${to}. Valid ${protocol} ports should be between 1-65535`);
  }
  const cidr = asked.cidr || '0.0.0.0/0';
  return {
    security_group_id: idOf(asked.parent_group_id),
    direction: 'ingress',
    ethertype: source === null && cidr.includes(':') ? 'IPv6' : 'IPv4',
    protocol,
    port_range_min: from === -1 ? null : from!,
    port_range_max: to === -1 ? null : to!,
    ...(source === null ? { remote_ip_prefix: cidr } : { remote_group_id: source }),
  };
}

type AnyRule = NestedRule | SecurityGroupRuleRow;
type Source = { name: string; tenant_id: string };

/** The groups that rules let in, as far as the caller may see them. */
async function sourcesOf(
  groups: SecurityGroupService,
  caller: Caller,
  rules: readonly AnyRule[],
): Promise<Map<string, Source>> {
  const ids = [...new Set(rules.flatMap((one) => one.remote_group_id ?? []))];
  const rows = ids.length === 0 ? [] : await groups.list(caller, { ids });
  return new Map(rows.map((row) => [row.id, { name: row.name, tenant_id: row.project_id }]));
}

async function groupOf(groups: SecurityGroupService, caller: Caller, row: SecurityGroupRow) {
  return (await groupBodies(groups, caller, [row]))[0]!;
}

/** What goes out was no matter of Nova's groups; a rule whose source is hidden is left out, as Nova does. */
async function groupBodies(groups: SecurityGroupService, caller: Caller, rows: readonly SecurityGroupRow[]) {
  const incoming = (row: SecurityGroupRow) => row.rules.filter((one) => one.direction === 'ingress');
  const sources = await sourcesOf(groups, caller, rows.flatMap(incoming));
  return rows.map((row) => ({
    ...{ id: row.id, name: row.name, description: row.description, tenant_id: row.project_id },
    rules: incoming(row)
      .filter((one) => one.remote_group_id === null || sources.has(one.remote_group_id))
      .map((one) => ruleShown(one, sources)),
  }));
}

function ruleShown(row: AnyRule, sources: ReadonlyMap<string, Source>) {
  const any = row.ethertype === 'IPv6' ? '::/0' : '0.0.0.0/0';
  return {
    ...{ id: row.id, parent_group_id: row.security_group_id, ip_protocol: row.protocol, ...portsShown(row) },
    group: row.remote_group_id === null ? {} : (sources.get(row.remote_group_id) ?? {}),
    ip_range: row.remote_group_id === null ? { cidr: row.remote_ip_prefix ?? any } : {},
  };
}

/** All ports of a protocol are a range for Nova. */
function portsShown(row: AnyRule): { from_port: number | null; to_port: number | null } {
  const { protocol, port_range_min: from, port_range_max: to } = row;
  if (protocol === null || from !== null || to !== null) return { from_port: from, to_port: to };
  return ['tcp', 'udp'].includes(protocol) ? { from_port: 1, to_port: 65_535 } : { from_port: -1, to_port: -1 };
}
