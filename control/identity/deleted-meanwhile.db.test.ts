/**
 * What is made while that which it hangs on is deleted: whichever comes first, the one who makes it is told in words of ours, and nothing hangs in
 * the air. Each pair is stopped where the maker has looked and not yet written.
 */
import { after } from 'node:test';
import type { DomainId, ProjectId, RoleId, UserId } from '../../contract/ids.ts';
import { FlavorService } from '../compute/flavor/index.ts';
import { KeyPairService } from '../compute/key-pair/index.ts';
import type { Caller } from '../kit/caller.ts';
import { betweenReadAndWrite, type Maker, testMadeWhileDeleted } from '../kit/database/test-between.ts';
import { QuotaService } from '../kit/quota/index.ts';
import { testAdmin } from '../network/testing.ts';
import { usage, userUsage } from '../resources.ts';
import { testIdentity } from './testing.ts';

const own = await testIdentity();
const between = await betweenReadAndWrite(own.db);
after(async () => {
  await between[Symbol.asyncDispose]();
  await own[Symbol.asyncDispose]();
});
const { database } = own.db;
const { identity } = own;
const { applicationCredentials, assignments, catalogueEntries, credentials, domainConfig, domains } = identity;
const { federation, groups, limits, projects, roles, trusts, users } = identity;
const keyPairs = new KeyPairService({ database });
const flavors = new FlavorService({ database });
const quotas = new QuotaService({ database, usage, userUsage });
const admin = testAdmin();
const domainId = identity.defaultDomainId;

let number = 0;
const name = () => `thing ${++number}`;
const idOf = async <T extends { id: unknown }>(made: Promise<T>): Promise<T['id']> => (await made).id;

/** One of everything, new for each pair. */
async function world() {
  const domain = (await idOf(domains.create(admin, { name: name() }))) as DomainId;
  await domains.update(admin, domain, { enabled: false });
  const project = (await idOf(projects.create(admin, { name: name(), domainId, parentId: null }))) as ProjectId;
  const user = (await idOf(users.create(admin, { name: name(), domainId }))) as UserId;
  const other = (await idOf(users.create(admin, { name: name(), domainId }))) as UserId;
  const group = await idOf(groups.create(admin, { name: name(), domainId }));
  const role = (await idOf(roles.create(admin, { name: name(), domainId: null }))) as RoleId;
  const role2 = (await idOf(roles.create(admin, { name: name(), domainId: null }))) as RoleId;
  const grant = { actor: { userId: user }, target: { projectId: project } };
  await assignments.grant(admin, grant, role);
  const service = await idOf(catalogueEntries.createService(admin, { type: name(), name: 's' }));
  const region = name();
  await catalogueEntries.createRegion(admin, region, {});
  const [registered] = await limits.register(admin, [
    { serviceId: service, region: null, resource: 'lamps', limit: 1, description: null },
  ]);
  const roleName = (await roles.get(admin, role)).name;
  const me: Caller = { ...testAdmin(), userId: user, projectId: project, roles: new Set([roleName]) };
  const flavor = (
    await flavors.create(admin, {
      ...{ flavorId: null, name: name(), description: null, vcpus: 1, memoryMiB: 1, diskGiB: 1, ephemeralGiB: 0 },
      ...{ swapMiB: 0, rxtxFactor: 1, public: false },
    })
  ).flavor_id;
  const provider = name();
  await federation.createProvider(admin, provider, { domainId: null });
  const mapping = name();
  await federation.createMapping(admin, mapping, []);
  return {
    domain,
    project,
    user,
    other,
    group,
    role,
    role2,
    grant,
    service,
    region,
    registered: registered!,
    me,
    flavor,
    provider,
    mapping,
  };
}
type World = Awaited<ReturnType<typeof world>>;

const makers: Readonly<Record<string, Maker<World, keyof typeof ends>>> = {
  'an assignment': {
    table: 'role_assignment',
    make: ({ grant, role2 }) => assignments.grant(admin, grant, role2),
    on: ['user', 'project', 'role2'],
  },
  'a membership': {
    table: 'user_group_member',
    make: ({ group, user }) => groups.addMember(admin, group, user),
    on: ['user', 'group'],
  },
  'an application credential': {
    table: 'application_credential',
    make: ({ me, user }) =>
      applicationCredentials.create(me, user, {
        ...{ name: name(), description: null, secret: null, expiresAt: null, roles: null },
        ...{ unrestricted: false, accessRules: null },
      }),
    on: ['user', 'project', 'role'],
  },
  'an application credential with rules': {
    table: 'access_rule',
    make: ({ me, user }) =>
      applicationCredentials.create(me, user, {
        ...{ name: name(), description: null, secret: null, expiresAt: null, roles: null, unrestricted: false },
        accessRules: [{ service: 'compute', method: 'GET', path: '/' }],
      }),
    on: ['user', 'project'],
  },
  'a credential': {
    table: 'credential',
    make: ({ user, project }) =>
      credentials.create(admin, { userId: user, projectId: project, type: 'cert', blob: 'b' }),
    on: ['user', 'project'],
  },
  'a trust': {
    table: 'trust',
    make: ({ me, user, other, project, role }) =>
      trusts.create(me, {
        ...{ trustorId: user, trusteeId: other, projectId: project, impersonation: true, roles: [{ id: role }] },
        ...{ expiresAt: null, remainingUses: null, allowRedelegation: false, redelegationCount: null },
      }),
    on: ['user', 'other', 'project', 'role'],
  },
  'an implication': {
    table: 'role_implication',
    make: ({ role, role2 }) => roles.imply(admin, role, role2),
    on: ['role', 'role2'],
  },
  'a user': {
    table: '"user"',
    make: ({ domain }) => users.create(admin, { name: name(), domainId: domain }),
    on: ['domain'],
  },
  'a group': {
    table: 'user_group',
    make: ({ domain }) => groups.create(admin, { name: name(), domainId: domain }),
    on: ['domain'],
  },
  'a role': {
    table: 'role',
    make: ({ domain }) => roles.create(admin, { name: name(), domainId: domain }),
    on: ['domain'],
  },
  'a project': {
    table: 'project',
    make: ({ domain }) => projects.create(admin, { name: name(), domainId: domain, parentId: null }),
    on: ['domain'],
  },
  'a project below another': {
    table: 'project',
    make: ({ project }) => projects.create(admin, { name: name(), domainId, parentId: project }),
    on: ['project'],
  },
  'an option of a domain': {
    table: 'domain_config',
    make: ({ domain }) => domainConfig.put(admin, domain, { identity: { driver: 'sql' } }),
    on: ['domain'],
  },
  'a limit': {
    table: 'own_limit',
    make: ({ registered, project }) =>
      limits.create(admin, [
        {
          ...{ serviceId: registered.service_id, region: null, resource: 'lamps', limit: 1, description: null },
          ...{ projectId: project, domainId: null },
        },
      ]),
    on: ['project', 'registered'],
  },
  'an endpoint': {
    table: 'endpoint',
    make: ({ service, region }) =>
      catalogueEntries.createEndpoint(admin, {
        serviceId: service,
        region,
        interface: 'public',
        url: 'https://x.test',
      }),
    on: ['service', 'region'],
  },
  'a region below another': {
    table: 'region',
    make: ({ region }) => catalogueEntries.createRegion(admin, name(), { parent: region }),
    on: ['region'],
  },
  'a protocol': {
    table: 'federation_protocol',
    make: ({ provider, mapping }) =>
      federation.createProtocol(admin, provider, { name: 'openid', mapping, remoteIdAttribute: null }),
    on: ['provider', 'mapping'],
  },
  'a key pair': {
    table: 'key_pair',
    make: ({ me }) =>
      keyPairs.create(me, {
        name: name(),
        type: 'ssh',
        publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f',
      }),
    on: ['user'],
  },
  'the use of a flavor': {
    table: 'flavor_access',
    make: ({ flavor, project }) => flavors.addAccess(admin, flavor, project),
    on: ['flavor', 'project'],
  },
  'a quota': {
    table: 'quota',
    make: ({ project }) => quotas.set(admin, project, { servers: 3 }, { force: true, counted: [] }),
    on: ['project'],
  },
  'a quota of a user': {
    table: 'user_quota',
    make: ({ project, user }) => quotas.setUser(admin, project, user, { servers: 3 }, { force: true }),
    on: ['project', 'user'],
  },
};

const ends = {
  domain: ({ domain }: World) => domains.delete(admin, domain),
  project: ({ project }: World) => projects.delete(admin, project),
  user: ({ user }: World) => users.delete(admin, user),
  other: ({ other }: World) => users.delete(admin, other),
  group: ({ group }: World) => groups.delete(admin, group),
  role: ({ role }: World) => roles.delete(admin, role),
  role2: ({ role2 }: World) => roles.delete(admin, role2),
  registered: ({ registered }: World) => limits.deleteRegistered(admin, registered.id),
  service: ({ service }: World) => catalogueEntries.deleteService(admin, service),
  region: ({ region }: World) => catalogueEntries.deleteRegion(admin, region),
  provider: ({ provider }: World) => federation.deleteProvider(admin, provider),
  mapping: ({ mapping }: World) => federation.deleteMapping(admin, mapping),
  flavor: ({ flavor }: World) => flavors.delete(admin, flavor),
} as const;

testMadeWhileDeleted(between, { world, makers, ends });
