/** The version documents, open to all: clients find the range of microversions here. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Boundary } from '../../boundary/boundary.ts';
import * as a from './answers.ts';
import { maximumVersion, minimumVersion } from './microversion.ts';
import { rootOf } from './paging.ts';
import type { Body } from './server-view.ts';

const version = (request: FastifyRequest): Body => ({
  id: 'v2.1',
  status: 'CURRENT',
  version: `2.${maximumVersion}`,
  min_version: `2.${minimumVersion}`,
  updated: '2013-07-23T11:33:21Z',
  links: [{ rel: 'self', href: `${rootOf(request)}/v2.1/` }],
});

/** What came before; Nova lists it first, and so do we, with the same routes. */
const legacy = (request: FastifyRequest): Body => ({
  id: 'v2.0',
  status: 'SUPPORTED',
  version: '',
  min_version: '',
  updated: '2011-01-21T11:33:21Z',
  links: [{ rel: 'self', href: `${rootOf(request)}/v2/` }],
});

const brief = { id: a.text, status: a.text, version: a.text, min_version: a.text, updated: a.text, links: a.links };
const contracts = {
  list: { summary: 'List API versions', rights: 'open', answers: { 200: a.record({ versions: a.list(brief) }) } },
  show: {
    summary: 'Show an API version',
    rights: 'open',
    answers: {
      200: a.record({ version: a.record({ ...brief, 'media-types': a.list({ base: a.text, type: a.text }) }) }),
    },
  },
} as const;

export function versionRoutes(app: Boundary): void {
  app.get('/', contracts.list, async (request) => ({ versions: [legacy(request), version(request)] }));
  for (const [path, one] of [
    ['/v2', legacy],
    ['/v2.1', version],
  ] as const) {
    const minor = path === '/v2' ? '2' : '2.1';
    const type = `application/vnd.openstack.compute+json;version=${minor}`;
    app.get(path, contracts.show, (request) => ({
      version: { ...one(request), 'media-types': [{ base: 'application/json', type }] },
    }));
  }
}

/** Nova's list of extensions has been fixed since 2.1; old clients look here for what they may call. */
const extensions: readonly [string, string][] = [
  ['os-availability-zone', 'AvailabilityZone'],
  ['os-console-output', 'ConsoleOutput'],
  ['os-extended-availability-zone', 'ExtendedAvailabilityZone'],
  ['os-extended-server-attributes', 'ExtendedServerAttributes'],
  ['os-extended-status', 'ExtendedStatus'],
  ['os-flavor-access', 'FlavorAccess'],
  ['os-flavor-extra-specs', 'FlavorExtraSpecs'],
  ['os-flavor-manage', 'FlavorManage'],
  ['os-floating-ip-pools', 'FloatingIpPools'],
  ['os-floating-ips', 'FloatingIps'],
  ['os-hosts', 'Hosts'],
  ['OS-EXT-IMG-SIZE', 'ImageSize'],
  ['os-hypervisors', 'Hypervisors'],
  ['os-instance-actions', 'InstanceActions'],
  ['os-keypairs', 'Keypairs'],
  ['os-lock-server', 'LockServer'],
  ['os-migrations', 'Migrations'],
  ['os-multiple-create', 'MultipleCreate'],
  ['os-networks', 'Networks'],
  ['os-quota-class-sets', 'QuotaClasses'],
  ['os-quota-sets', 'Quotas'],
  ['os-security-groups', 'SecurityGroups'],
  ['os-server-groups', 'ServerGroups'],
  ['os-server-start-stop', 'ServerStartStop'],
  ['os-services', 'Services'],
  ['os-simple-tenant-usage', 'SimpleTenantUsage'],
  ['os-tenant-networks', 'TenantNetworks'],
  ['os-used-limits', 'UsedLimits'],
  ['os-user-data', 'UserData'],
];

const extension = ([alias, name]: readonly [string, string]): Body => ({
  alias,
  name,
  description: '',
  links: [],
  namespace: 'http://docs.openstack.org/compute/ext/fake_xml',
  updated: '2014-12-03T00:00:00Z',
});

const shown = a.record({
  alias: a.text,
  name: a.text,
  description: a.text,
  links: a.none,
  namespace: a.text,
  updated: a.text,
});
const extensionContracts = {
  list: {
    summary: 'List extensions',
    rights: 'caller',
    answers: { 200: a.record({ extensions: Type.Array(shown) }) },
  },
  show: { summary: 'Show an extension', rights: 'caller', answers: { 200: a.record({ extension: shown }) } },
} as const;

export function extensionRoutes(app: Boundary): void {
  app.get('/extensions', extensionContracts.list, async () => ({ extensions: extensions.map(extension) }));
  app.get('/extensions/:alias', extensionContracts.show, async (request, reply) => {
    const { alias } = request.params as { alias: string };
    const found = extensions.find(([one]) => one === alias);
    return found ? { extension: extension(found) } : reply.callNotFound();
  });
}
