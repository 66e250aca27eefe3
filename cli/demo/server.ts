/** The demo's server: a new one at each run, with a floating IP, and a login to it. */
import net from 'node:net';
import { join } from 'node:path';
import { CommandError } from '../command.ts';
import { tryRun } from '../run.ts';
import type { Progress } from '../terminal.ts';
import type { OpenStack } from './openstack.ts';
import { demoName } from './resources.ts';

const activeDeadlineMs = 120_000;
const loginDeadlineMs = 180_000;

export interface DemoServer {
  id: string;
  name: string;
  portId: string;
}

export async function createServer(
  demo: OpenStack,
  parts: { imageId: string; flavorId: string; networkId: string },
  progress: Progress,
): Promise<DemoServer> {
  const { servers } = await demo.get('compute', '/servers');
  const numbers = servers.map((server: { name: string }) => Number(/^demo-(\d+)$/.exec(server.name)?.[1] ?? 0));
  const name = `demo-${Math.max(0, ...numbers) + 1}`;
  const { server } = await demo.post('compute', '/servers', {
    server: {
      name,
      imageRef: parts.imageId,
      flavorRef: parts.flavorId,
      networks: [{ uuid: parts.networkId }],
      key_name: demoName,
      security_groups: [{ name: demoName }],
    },
  });
  await until(`the server ${name} to be ACTIVE`, activeDeadlineMs, async () => {
    const { server: now } = await demo.get('compute', `/servers/${server.id}`);
    progress.detail(`${now.status} ${now['OS-EXT-STS:task_state'] ?? ''}`);
    if (now.status === 'ERROR') {
      throw new Hopeless(`the server ${name} is in state ERROR: ${now.fault?.message ?? 'no reason given'}`);
    }
    return now.status === 'ACTIVE';
  });
  const { ports } = await demo.get('network', `/ports?device_id=${server.id}`);
  if (ports[0] === undefined) throw new CommandError(`the server ${name} has no port`, "see 'bothy logs control'");
  return { id: server.id, name, portId: ports[0].id };
}

/** A floating IP of the project that nothing uses, or a new one, on the server's port. Answers the address. */
export async function giveFloatingIp(demo: OpenStack, externalId: string, portId: string): Promise<string> {
  const free = await demo.find(
    'network',
    `/floatingips?project_id=${demo.projectId}`,
    'floatingips',
    (ip) => ip.port_id === null,
  );
  if (free !== undefined) {
    await demo.put('network', `/floatingips/${free.id}`, { floatingip: { port_id: portId } });
    return free.floating_ip_address;
  }
  const body = { floatingip: { floating_network_id: externalId, port_id: portId } };
  return (await demo.post('network', '/floatingips', body)).floatingip.floating_ip_address;
}

export async function login(
  demo: OpenStack,
  target: { server: DemoServer; address: string; keyFile: string; directory: string },
  progress: Progress,
): Promise<string> {
  const { server, address, keyFile, directory } = target;
  let last = '';
  try {
    return await until(`a login to ${address}`, loginDeadlineMs, async () => {
      last = await sshBanner(address).catch((error: Error) => error.message);
      progress.detail(`${address} port 22: ${last}`);
      if (!last.startsWith('SSH-')) return undefined;
      const result = await ssh(
        address,
        keyFile,
        directory,
        'echo "$(hostname): $(uname -sr), up $(cut -d" " -f1 /proc/uptime) s"',
      );
      last = result.code === 0 ? last : result.stderr.trim();
      return result.code === 0 ? result.stdout.trim() : undefined;
    });
  } catch (error) {
    const log = await demo
      .post('compute', `/servers/${server.id}/action`, { 'os-getConsoleOutput': { length: 12 } })
      .catch(() => undefined);
    const tail = String(log?.output ?? '')
      .trimEnd()
      .split('\n')
      .slice(-12);
    throw new CommandError(
      [`${(error as Error).message}; last: ${last}`, 'the console of the guest ends with:', ...tail].join('\n    '),
      "see 'bothy doctor'; the server is kept: openstack console log show",
    );
  }
}

const sshArguments = (keyFile: string, directory: string): string[] => [
  ...['-i', keyFile, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'ConnectTimeout=5'],
  // Floating IPs pass from server to server, each with a host key of its own.
  ...[
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    `UserKnownHostsFile=${join(directory, 'known_hosts')}`,
    '-o',
    'LogLevel=ERROR',
  ],
];

function ssh(address: string, keyFile: string, directory: string, command: string) {
  const known = ['-o', 'UserKnownHostsFile=/dev/null'];
  return tryRun('ssh', [...known, ...sshArguments(keyFile, directory), `cirros@${address}`, command], {
    timeoutMs: 30_000,
  });
}

/** The first line that the SSH server says. */
function sshBanner(address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: address, port: 22, timeout: 2_000 });
    socket.once('timeout', () => socket.destroy(new Error('no answer yet')));
    socket.once('error', reject);
    socket.once('data', (data) => {
      resolve(data.toString('latin1').split('\r')[0] ?? '');
      socket.destroy();
    });
    socket.once('close', () => reject(new Error('closed without a word')));
  });
}

/** Ends a wait at once: what is waited for can't come any more. */
class Hopeless extends CommandError {
  constructor(message: string) {
    super(message, "'bothy logs host -n 20' and 'bothy logs control -n 20' tell more");
  }
}

async function until<T>(what: string, deadlineMs: number, look: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline)
      throw new CommandError(`waited ${deadlineMs / 1000} s for ${what}`, "see 'bothy doctor'");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
