/**
 * GET /servers/{id}/diagnostics: one form of everybody's since 2.48, before that what libvirt's driver calls things. And its NUMA
 * topology, from 2.78 on: servers have none.
 */
import { Type } from 'typebox';
import type { GuestDiagnostics } from '../../../contract/host/index.ts';
import type { ServerService } from '../../../control/compute/server/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import type { Body } from './server-view.ts';
import { serverIdOf } from './servers.ts';
import * as v from './validate.ts';

const counter = a.orNull(a.integer);
const counters = (...names: string[]) => a.record(Object.fromEntries(names.map((name) => [name, counter])));
const cardCounters = ['drop', 'errors', 'octets', 'packets', 'rate'].flatMap((name) => [`rx_${name}`, `tx_${name}`]);

const contract = {
  summary: 'Show how a server that runs is doing',
  rights: 'admin',
  answers: {
    200: v.since([1, 48], (version) =>
      version < 48
        ? a.byName(a.integer)
        : a.record({
            ...{ config_drive: a.boolean, driver: a.text, hypervisor: a.text, hypervisor_os: a.text, state: a.text },
            ...{ num_cpus: a.integer, num_disks: a.integer, num_nics: a.integer, uptime: a.integer },
            cpu_details: a.listOf(counters('id', 'time', 'utilisation')),
            disk_details: a.listOf(
              counters('errors_count', 'read_bytes', 'read_requests', 'write_bytes', 'write_requests'),
            ),
            memory_details: counters('maximum', 'used'),
            nic_details: a.listOf(
              a.record({ mac_address: a.text, ...Object.fromEntries(cardCounters.map((name) => [name, counter])) }),
            ),
          }),
    ),
  },
} as const;
const topology = {
  summary: "Show a server's NUMA topology: none",
  rights: 'reader',
  versions: { from: 78 },
  answers: { 200: a.record({ nodes: a.none, pagesize_kb: Type.Null() }) },
} as const;

export function diagnosticsRoutes(app: Boundary, servers: ServerService): void {
  app.get('/servers/:id/topology', topology, async (request) => {
    await servers.get(callerOf(request), serverIdOf(request));
    return { nodes: [], pagesize_kb: null };
  });
  app.get('/servers/:id/diagnostics', contract, async (request) => {
    const { diagnostics } = await servers.diagnostics(callerOf(request), serverIdOf(request));
    return request.microversion < 48 ? olderBody(diagnostics) : body(diagnostics);
  });
}

function body({ cpus, disks, cards, ...rest }: GuestDiagnostics): Body {
  return {
    config_drive: rest.configDrive,
    // Nova's answer may name one of four; ours drives QEMU as that one does.
    driver: 'libvirt',
    hypervisor: 'qemu',
    hypervisor_os: 'linux',
    state: rest.state,
    uptime: rest.uptimeSeconds,
    ...{ num_cpus: cpus.length, num_disks: disks.length, num_nics: cards.length },
    cpu_details: cpus.map(({ index, timeNs }) => ({ id: index, time: timeNs, utilisation: null })),
    disk_details: disks.map((disk) => ({
      errors_count: disk.errors,
      read_bytes: disk.readBytes,
      read_requests: disk.readRequests,
      write_bytes: disk.writeBytes,
      write_requests: disk.writeRequests,
    })),
    // What the guest uses of it only the guest knows.
    memory_details: { maximum: rest.memoryMiB, used: null },
    nic_details: cards.map((card) => ({
      mac_address: card.mac,
      ...{ rx_octets: card.rxBytes, rx_packets: card.rxPackets, rx_errors: card.rxErrors, rx_drop: card.rxDropped },
      ...{ tx_octets: card.txBytes, tx_packets: card.txPackets, tx_errors: card.txErrors, tx_drop: card.txDropped },
      ...{ rx_rate: null, tx_rate: null },
    })),
  };
}

function olderBody({ cpus, disks, cards, memoryMiB }: GuestDiagnostics): Body {
  const numbers: [string, number | null][] = [
    ...cpus.map(({ index, timeNs }): [string, number | null] => [`cpu${index}_time`, timeNs]),
    ...disks.flatMap((disk, at): [string, number][] => {
      const name = `vd${String.fromCharCode(97 + at)}`;
      return [
        [`${name}_read_req`, disk.readRequests],
        [`${name}_read`, disk.readBytes],
        [`${name}_write_req`, disk.writeRequests],
        [`${name}_write`, disk.writeBytes],
        [`${name}_errors`, disk.errors],
      ];
    }),
    ...cards.flatMap((card, at): [string, number | null][] => {
      // Nova has the tap's name here: the first eleven characters of the port's id, which time-ordered ids share.
      const name = `tap${at}`;
      return [
        [`${name}_rx`, card.rxBytes],
        [`${name}_rx_packets`, card.rxPackets],
        [`${name}_rx_errors`, card.rxErrors],
        [`${name}_rx_drop`, card.rxDropped],
        [`${name}_tx`, card.txBytes],
        [`${name}_tx_packets`, card.txPackets],
        [`${name}_tx_errors`, card.txErrors],
        [`${name}_tx_drop`, card.txDropped],
      ];
    }),
    ['memory', memoryMiB * 1024],
  ];
  return Object.fromEntries(numbers.filter(([, value]) => value !== null));
}
