/** /os-simple-tenant-usage. Sums are of what is on a page: from 2.40 on clients add the pages up. */

import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import type { ServerUsage, TenantUsageService, UsageQuery } from '../../../control/compute/tenant-usage/index.ts';
import { requireAdmin } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import { isOfCalendar } from '../common/calendar.ts';
import * as a from './answers.ts';
import { first, nextLinks, pageOf, queryOf, refuseUnknown } from './paging.ts';
import { plainTime } from './server-view.ts';
import * as v from './validate.ts';

const server = a.record({
  ...{ instance_id: a.id, name: a.text, tenant_id: a.id, flavor: a.text, state: a.text, hours: a.number },
  ...{ started_at: a.text, ended_at: a.orNull(a.text), uptime: a.integer },
  ...{ vcpus: a.integer, memory_mb: a.integer, local_gb: a.integer },
});
const usage = a.record({
  ...{ tenant_id: a.id, start: a.text, stop: a.text, total_hours: a.number, total_vcpus_usage: a.number },
  ...{ total_memory_mb_usage: a.number, total_local_gb_usage: a.number, server_usages: a.some(a.listOf(server)) },
});
const listParameters = ['start', 'end', 'detailed', 'limit', 'marker'];
const showParameters = ['start', 'end', 'limit', 'marker'];
const links = (version: number, name: string) => (version >= 40 ? { [name]: a.some(a.links) } : {});
const contracts = {
  list: {
    summary: 'List the usage of all projects',
    rights: 'admin',
    query: a.query(...listParameters),
    answers: {
      200: v.since([1, 40], (version) =>
        a.record({ tenant_usages: a.listOf(usage), ...links(version, 'tenant_usages_links') }),
      ),
    },
  },
  show: {
    summary: "Show a project's usage",
    rights: 'reader',
    query: a.query(...showParameters),
    answers: {
      200: v.since([1, 40], (version) =>
        a.record({ tenant_usage: Type.Union([usage, a.record({})]), ...links(version, 'tenant_usage_links') }),
      ),
    },
  },
} as const;

export function tenantUsageRoutes(app: Boundary, usages: TenantUsageService): void {
  app.get('/os-simple-tenant-usage', contracts.list, async (request, reply) => {
    // A project without an id is none, rather than all of them.
    if (request.url.split('?')[0]!.endsWith('/')) return reply.callNotFound();
    requireAdmin(callerOf(request), 'list the usage of all projects');
    refuseUnknown(request, listParameters);
    const query = read(request);
    const rows = await usages.list(callerOf(request), query);
    const detailed = first(queryOf(request), 'detailed') === '1';
    const page = linksOf(request, 'os-simple-tenant-usage', query, rows);
    return {
      tenant_usages: sums(query, rows, { detailed }),
      ...(page && { tenant_usages_links: page }),
    };
  });
  app.get('/os-simple-tenant-usage/:project', contracts.show, async (request) => {
    refuseUnknown(request, showParameters);
    const { project } = request.params;
    const query = read(request);
    // Nova asks nobody whether there is such a project.
    const rows = await usages.show(callerOf(request), parseId(project) ?? nobody, query);
    const page = linksOf(request, `os-simple-tenant-usage/${encodeURIComponent(project)}`, query, rows);
    return {
      tenant_usage: sums(query, rows, { detailed: true })[0] ?? {},
      ...(page && { tenant_usage_links: page }),
    };
  });
}

const nobody = '00000000-0000-0000-0000-000000000000';

function read(request: FastifyRequest): UsageQuery {
  const query = queryOf(request);
  const now = new Date();
  const end = readTime(first(query, 'end')) ?? now;
  // A time between two calls of a clock, in Nova, where neither is given.
  const start = readTime(first(query, 'start')) ?? new Date(now.getTime() - 1);
  if (start >= end) {
    throw new Refusal('invalid', 'Invalid start time. The start time cannot occur after the end time.');
  }
  const { limit, marker } = request.microversion >= 40 ? pageOf(query) : pageOf({});
  const period = { from: start, to: end > now ? now : end, limit };
  if (marker === undefined) return period;
  const id = parseId(marker);
  if (!id) throw new Refusal('invalid', `marker [${marker.slice(0, 100)}] not found`);
  return { ...period, marker: id };
}

/** Nova takes these three forms and no zone: all are UTC. */
function readTime(text: string | undefined): Date | undefined {
  if (text === undefined || text === '') return undefined;
  const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,6})?$/.exec(text);
  const time = match ? new Date(`${match[1]}T${match[2]}${(match[3] ?? '').slice(0, 4)}Z`) : undefined;
  if (!time || Number.isNaN(time.getTime()) || !isOfCalendar(text)) {
    throw new Refusal('invalid', 'Invalid datetime string: Datetime is in invalid format');
  }
  return time;
}

function linksOf(request: FastifyRequest, path: string, { limit }: UsageQuery, rows: readonly ServerUsage[]) {
  if (request.microversion < 40) return undefined;
  return nextLinks(request, path, { limit, count: rows.length, last: rows.at(-1)?.id });
}

/** Of each project that used something, in the order of the servers, which is by project. */
function sums({ from, to }: UsageQuery, rows: readonly ServerUsage[], { detailed }: { detailed: boolean }) {
  const times = { start: plainTime(from), stop: plainTime(to) };
  return [...Map.groupBy(rows, ({ project_id }) => project_id)].map(([tenant_id, used]) => {
    const total = (amount: (row: ServerUsage) => number) => used.reduce((sum, row) => sum + amount(row) * row.hours, 0);
    return {
      ...{ tenant_id, ...times, total_hours: total(() => 1), total_vcpus_usage: total((row) => row.vcpus) },
      total_memory_mb_usage: total((row) => row.memory_mib),
      total_local_gb_usage: total((row) => row.disk_gib),
      ...(detailed && { server_usages: used.map(serverBody) }),
    };
  });
}

const serverBody = (row: ServerUsage) => ({
  ...{ instance_id: row.id, name: row.name, tenant_id: row.project_id, flavor: row.flavor_name, hours: row.hours },
  // Nova's answers know no state for one that waits to be reclaimed: it does not run.
  state: row.state === 'soft-delete' ? 'stopped' : row.state,
  ...{ started_at: plainTime(row.started_at), ended_at: plainTime(row.ended_at) },
  uptime: Math.floor(((row.ended_at ?? new Date()).getTime() - row.started_at.getTime()) / 1000),
  ...{ vcpus: row.vcpus, memory_mb: row.memory_mib, local_gb: row.disk_gib },
});
