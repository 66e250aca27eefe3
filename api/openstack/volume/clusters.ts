/** /clusters and /workers/cleanup (3.7, 3.24): there are no clusters, and what was left half-done is gone on with by itself. */
import { Type } from 'typebox';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import * as a from './answers.ts';
import { queryOf } from './paging.ts';
import * as v from './validate.ts';

const versions = { from: 7 };
const filters = [
  ...['name', 'binary', 'is_up', 'disabled', 'num_hosts', 'num_down_hosts'],
  ...['replication_status', 'frozen', 'active_backend_id'],
];
const name = v.text(1, 255);
const named = { name, binary: Type.Optional(v.text(0, 255)) };
const contracts = {
  list: {
    summary: 'List clusters: there are none',
    rights: 'admin',
    versions,
    query: a.query(...filters),
    answers: { 200: a.record({ clusters: a.none }) },
  },
  show: { summary: 'Show a cluster', rights: 'admin', versions, query: a.query('binary'), answers: {} },
  enable: { summary: 'Open a cluster', rights: 'admin', versions, body: v.strict(named), answers: {} },
  disable: {
    summary: 'Close a cluster',
    rights: 'admin',
    versions,
    body: v.strict({ ...named, disabled_reason: Type.Optional(v.text(1, 255)) }),
    answers: {},
  },
  cleanup: {
    summary: 'Clean up what services left half-done: nothing ever is',
    rights: 'admin',
    versions: { from: 24 },
    body: v.strict({
      ...{ cluster_name: Type.Optional(v.hostName), host: Type.Optional(v.hostName) },
      ...{ disabled: Type.Optional(v.boolean), is_up: Type.Optional(v.boolean) },
      binary: Type.Optional(Type.Enum(['cinder-volume', 'cinder-scheduler'])),
      resource_id: Type.Optional(v.uuidOrNull),
      resource_type: Type.Optional(Type.Union([v.text(0, 40), Type.Null()])),
      service_id: Type.Optional(Type.Union([v.integer(0), Type.Null()])),
    }),
    answers: { 202: a.record({ cleaning: a.none, unavailable: a.none }) },
  },
} as const;

const none = (cluster: string): Refusal => new Refusal('not_found', `Cluster ${cluster} could not be found.`);

export function clusterRoutes(app: Boundary): void {
  for (const path of ['/clusters', '/clusters/detail'] as const) {
    app.get(path, contracts.list, (request) => {
      const unknown = Object.keys(queryOf(request)).filter((key) => !filters.includes(key));
      if (unknown.length > 0) {
        throw new Refusal(
          'invalid',
          `Invalid filter keys: ${unknown
            .slice(0, 20)
            .map((key) => key.slice(0, 100))
            .join(', ')}`,
        );
      }
      return { clusters: [] };
    });
  }
  app.get('/clusters/:name', contracts.show, (request) => {
    throw none(request.params.name);
  });
  app.put('/clusters/enable', contracts.enable, (request) => {
    throw none(request.body.name);
  });
  app.put('/clusters/disable', contracts.disable, (request) => {
    throw none(request.body.name);
  });
}

export function workerRoutes(app: Boundary): void {
  app.post('/workers/cleanup', contracts.cleanup, (request, reply) => {
    const { resource_type: type, resource_id: id, host, cluster_name: cluster, service_id: service } = request.body;
    if (type && !/^(volume|snapshot|backup)$/i.test(type)) {
      throw new Refusal('invalid', `Resource type ${type} not valid, must be Backup, Snapshot or Volume`);
    }
    if (id && !host && !cluster && (service === undefined || service === null)) {
      throw new Refusal('invalid', `There is no resource with UUID ${id} pending cleanup.`);
    }
    return reply.code(202).send({ cleaning: [], unavailable: [] });
  });
}
