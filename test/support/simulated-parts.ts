/** What a simulated cloud needs whichever way it runs: certificates, an administrator, the configuration of control. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { PostgresOptions } from '../../cli/cloud/postgres.ts';
import type { ControlConfiguration, LogLevel, TlsFiles } from '../../cli/process/configuration.ts';
import { type HostId, newId, newOrderedId } from '../../contract/ids.ts';
import { Authority, type LeafFiles } from '../../control/pki/authority.ts';

export interface SimulatedIdentity {
  directory: string;
  cloudId: string;
  adminPassword: string;
  /** PEM file. */
  ca: string;
  control: TlsFiles;
  hosts: { id: HostId; name: string; tls: TlsFiles }[];
}

const names = ['localhost', '127.0.0.1', '::1'];

/** Makes the ids and certificates of a cloud below `directory`. */
export async function simulatedIdentity(directory: string, hosts: number): Promise<SimulatedIdentity> {
  const cloudId = newId();
  const authority = await Authority.open(join(directory, 'certificates'), cloudId);
  const usages = ['server', 'client'] as const;
  const files = ({ certificate, key }: LeafFiles): TlsFiles => ({ certificate, key, ca: authority.caFile });
  const control = await authority.ensure({ name: 'api', commonName: 'bothy-control', names, usages });
  const made: SimulatedIdentity['hosts'] = [];
  for (let index = 1; index <= hosts; index++) {
    const id = newOrderedId<HostId>();
    const name = `host-${index}`;
    made.push({ id, name, tls: files(await authority.ensure({ name, commonName: id, names, usages })) });
  }
  const adminPassword = randomBytes(18).toString('base64url');
  return { directory, cloudId, adminPassword, ca: authority.caFile, control: files(control), hosts: made };
}

/** Control's configuration; `localHost` is the first host, as on a machine that `bothy up` made, where its socket is told. */
export function controlConfiguration(
  identity: SimulatedIdentity,
  over: {
    databaseUrl: string;
    northbound: string;
    port: number;
    logLevel: LogLevel;
    runDirectory: string;
    hostSocket?: string;
    /** Where hosts are told that they reach it; none where it is not given. */
    ownUrl?: string;
  },
): ControlConfiguration {
  mkdirSync(over.runDirectory, { recursive: true });
  const [first] = identity.hosts;
  return {
    cloudId: identity.cloudId,
    region: 'RegionOne',
    logLevel: over.logLevel,
    databaseUrl: over.databaseUrl,
    listen: { address: '127.0.0.1', port: over.port },
    publicUrl: `https://127.0.0.1:${over.port}`,
    ...(over.ownUrl !== undefined && { ownUrl: over.ownUrl }),
    tls: identity.control,
    southboundPort: 6642,
    bothyVersion: '0.1.0',
    northbound: over.northbound,
    healthSocket: join(over.runDirectory, 'health.sock'),
    sealingKeys: [Buffer.alloc(32, 'tests').toString('base64')],
    retention: { changeLogDays: 7, operationDays: 30 },
    localHost: {
      id: first!.id,
      name: first!.name,
      socket: over.hostSocket ?? join(over.runDirectory, 'no-such-host.sock'),
    },
    bootstrap: {
      adminPassword: identity.adminPassword,
      external: {
        physicalNetwork: 'physnet1',
        cidr: '172.24.4.0/24',
        gateway: '172.24.4.1',
        cidr6: 'fd0b:724::/64',
        gateway6: 'fd0b:724::1',
      },
    },
  };
}

/** A private cluster of PostgreSQL below `directory`. */
export function simulatedPostgres(directory: string, options: { durable: boolean }): PostgresOptions {
  const user = process.getuid!() === 0 ? 'postgres' : userInfo().username;
  return {
    directory: join(directory, 'postgres'),
    socketDirectory: join(directory, 'pg'),
    user,
    durable: options.durable,
  };
}

export function writeJson(file: string, value: unknown): string {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  return file;
}
