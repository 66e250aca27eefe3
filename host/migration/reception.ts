/**
 * What the target's QEMU listens with: a server of its disks (NBD) and, where the guest's memory comes too, of that; both by TLS with the migration's key,
 * at the address by which hosts reach this one, each at a port of its own.
 */
import { type Execute, QmpError } from '../../protocols/qmp/index.ts';
import { credentials, fromHost } from '../guest/migration-parameters.ts';
import { atSomePort, type MigrationPlace } from '../ports-for-hosts.ts';
import { closeNode } from '../volume/nodes.ts';
import { remoteNode } from './names.ts';

export interface Exported {
  /** Of the export. */
  name: string;
  /** The guest's own, which is written to until the guest has it. */
  node?: string;
  /** A file that a node is made for: the guest has none of it that could be written to, or none at all. */
  path?: string;
}

/** @returns the ports. @throws HostFault where none is free */
export async function listen(
  execute: Execute,
  place: MigrationPlace,
  { disks, memory }: { disks: readonly Exported[]; memory: boolean },
): Promise<{ disksPort: number; memoryPort: number | null }> {
  await fromHost(execute);
  const disksPort = await atSomePort(place, (port) => {
    const data = { host: place.address, port: String(port) };
    return execute('nbd-server-start', { addr: { type: 'inet', data }, 'tls-creds': credentials });
  });
  for (const { name, node = remoteNode(name), path } of disks) {
    if (path !== undefined) {
      // The guest's own node of it takes its locks when the guest does; by then this one is gone.
      const file = { driver: 'file', filename: path, locking: 'off' };
      await execute('blockdev-add', { driver: 'raw', 'node-name': node, file });
    }
    await execute('block-export-add', { type: 'nbd', id: node, 'node-name': node, name, writable: true });
  }
  if (!memory) return { disksPort, memoryPort: null };
  const address = place.address.includes(':') ? `[${place.address}]` : place.address;
  const memoryPort = await atSomePort(place, (port) => execute('migrate-incoming', { uri: `tcp:${address}:${port}` }));
  return { disksPort, memoryPort };
}

/** From here on nobody writes to the guest's disks but itself. Safe to repeat. */
export async function stopListening(execute: Execute, disks: readonly Exported[]): Promise<void> {
  await execute('nbd-server-stop').catch((error) => {
    if (!(error instanceof QmpError)) throw error;
  });
  for (const { name, path } of disks) if (path !== undefined) await closeNode(execute, remoteNode(name));
}
