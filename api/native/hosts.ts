/**
 * /native/v1/host-tokens and /native/v1/hosts: how a machine becomes a host and leaves again (docs/decisions/0015-join.md). Administrators make tokens; who
 * has one joins with it, without an account; a host speaks for itself by its certificate.
 */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { hostLimits, hostProtocol } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import type { HypervisorService } from '../../control/compute/hypervisor/index.ts';
import type { MaintenanceService } from '../../control/compute/maintenance/index.ts';
import type { HostToken, HostTokenService, JoinService } from '../../control/host/token/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { Refusal } from '../boundary/refusal.ts';
import { onceCertified } from '../host/stream.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import { certificateDocument, hostTokenList, joinDocument, joinedDocument, newHostToken } from './documents.ts';

export interface HostsDeps {
  tokens: Pick<HostTokenService, 'create' | 'list' | 'remove'>;
  joins: Pick<JoinService, 'join' | 'renew' | 'tunnels'>;
  hypervisors: Pick<HypervisorService, 'leave'>;
  maintenance: MaintenanceService;
  cloudId: string;
  /** The cloud's root certificate, in PEM. */
  ca: string;
  version: string;
}

const exact = { additionalProperties: false } as const;
const name = Type.String({ minLength: 1, maxLength: hostLimits.nameLength });
const csr = Type.String({ minLength: 1, maxLength: 8192, description: 'PKCS #10, in PEM' });
const number = Type.Integer({ minimum: 0, maximum: 1_000_000 });

const joinBody = Type.Object(
  {
    token: Type.String({ minLength: 1, maxLength: 200, description: "The token's secret" }),
    name,
    address: Type.Union([Type.String({ format: 'ipv4' }), Type.String({ format: 'ipv6' })]),
    host_port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    word: Type.String({ pattern: '^[0-9a-f]{32}$', description: 'What it says to who calls it back there' }),
    csr,
    now: Type.Integer({ minimum: 0, maximum: 8_640_000_000_000_000, description: 'Its clock, in milliseconds' }),
    version: Type.String({ maxLength: hostLimits.versionLength }),
    protocol: Type.Object({ lowest: number, highest: number }, exact),
  },
  exact,
);

const before = {
  summary: 'What a machine looks at before it joins',
  rights: 'open',
  answers: { 200: joinDocument },
} as const;
const join = {
  summary: 'Become a host, with a token',
  rights: 'open',
  body: joinBody,
  answers: { 200: joinedDocument },
} as const;
const tunnelsDocument = Type.Object(
  {
    tunnels: Type.Array(
      Type.Object(
        {
          ...{ host: Type.String(), address: Type.String() },
          mtu: Type.Integer({ description: 'Bytes of a packet that must come through' }),
        },
        exact,
      ),
    ),
  },
  exact,
);
const tunnels = {
  summary: 'Where tunnels of hosts end, for a machine with a token that tries them before it joins',
  rights: 'open',
  body: Type.Object(
    { token: Type.String({ minLength: 1, maxLength: 200, description: "The token's secret" }), name },
    exact,
  ),
  answers: { 200: tunnelsDocument },
} as const;
const renew = {
  summary: 'A new certificate for the host whose certificate the connection has',
  rights: 'open',
  body: Type.Object({ csr }, exact),
  answers: { 200: certificateDocument },
} as const;
const leave = {
  summary: 'Take the host out of the cloud whose certificate the connection has',
  rights: 'open',
  answers: { 204: null },
} as const;
const create = {
  summary: 'Make a token that one machine can join with',
  rights: 'admin',
  body: Type.Object(
    { host_token: Type.Object({ host_name: Type.Optional(Type.Union([name, Type.Null()])) }, exact) },
    exact,
  ),
  answers: { 201: newHostToken },
} as const;
const list = { summary: 'List host tokens', rights: 'admin', answers: { 200: hostTokenList } } as const;
const remove = { summary: 'Take a host token back', rights: 'admin', answers: { 204: null } } as const;

export function hostRoutes(app: Boundary, { hosts }: { hosts: HostsDeps }): void {
  app.get('/v1/hosts/join', before, () => {
    const { cloudId, ca, version } = hosts;
    return { cloud_id: cloudId, ca, version, protocol: { ...hostProtocol } };
  });
  app.post('/v1/hosts/join', join, async (request) => {
    const { token, host_port: hostPort, ...wish } = request.body;
    const joined = await hosts.joins.join({ ...wish, hostPort, secret: new Secret(token) });
    return {
      host: { id: joined.hostId, name: joined.name },
      ...{ cloud_id: joined.cloudId, southbound_port: joined.southboundPort },
      ...{ certificate: joined.certificate, ca: joined.ca },
    };
  });
  app.post('/v1/hosts/join/tunnels', tunnels, async ({ body }) => ({
    tunnels: await hosts.joins.tunnels({ secret: new Secret(body.token), name: body.name }),
  }));
  app.post('/v1/hosts/self/certificate', renew, async (request) => {
    const { id, addresses } = hostOf(request, hosts.ca);
    return hosts.joins.renew(id, { csr: request.body.csr, addresses });
  });
  app.delete('/v1/hosts/self', leave, async (request, reply) => {
    await hosts.hypervisors.leave(hostOf(request, hosts.ca).id);
    reply.code(204).send();
  });
  app.post('/v1/host-tokens', create, async (request, reply) => {
    const { host_name: hostName } = request.body.host_token;
    const { token, text } = await hosts.tokens.create(callerOf(request), { hostName: hostName ?? undefined });
    reply.code(201);
    return { host_token: { ...document(token), token: text } };
  });
  app.get('/v1/host-tokens', list, async (request) => ({
    host_tokens: (await hosts.tokens.list(callerOf(request))).map(document),
  }));
  app.delete('/v1/host-tokens/:id', remove, async (request, reply) => {
    await hosts.tokens.remove(callerOf(request), request.params.id);
    reply.code(204).send();
  });
}

/** @throws CloudError `not_found` for who is none: no token would help */
export function hostOf({ raw }: Pick<FastifyRequest, 'raw'>, ca: string): { id: HostId; addresses: string[] } {
  const host = onceCertified(raw.socket, ca);
  if (!host)
    throw new Refusal('not_found', "there is no host of the cloud on this connection: it has no host's certificate");
  return host;
}

const document = ({ id, host_name, created_at, expires_at, used_at, used_by }: HostToken) => ({
  ...{ id, host_name, created_at: created_at.toISOString(), expires_at: expires_at.toISOString() },
  ...{ used_at: used_at?.toISOString() ?? null, used_by },
});
