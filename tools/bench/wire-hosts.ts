/**
 * Hosts as control sees them and nothing behind: each speaks the host stream over TLS of its own, takes every document for done at once
 * and reports it. A process of its own, so that a thousand of them fit beside the control that is measured. Dials again when the
 * stream ends. Told by `fork`: the address and the hosts; tells how many are in step.
 */
import { readFileSync } from 'node:fs';
import WebSocket from 'ws';
import {
  type ControlMessage,
  type DesiredServer,
  type HostFacts,
  type HostMessage,
  hostProtocol,
  type ObservedServer,
  speaking,
} from '../../contract/host/index.ts';
import { testFacts } from '../../test/support/fake-host.ts';
import type { SimulatedIdentity } from '../../test/support/simulated-parts.ts';

export interface WireHosts {
  controlUrl: string;
  hosts: SimulatedIdentity['hosts'];
}

/** Hosts that have a snapshot and have answered it whole. */
let inStep = 0;
const redialMs = 200;

function run(controlUrl: string, host: WireHosts['hosts'][number], ca: Buffer): void {
  const tls = { cert: readFileSync(host.tls.certificate), key: readFileSync(host.tls.key), ca };
  const documents = new Map<string, DesiredServer>();
  let remembers: { incarnation: string; position: string } | undefined;
  const dial = () => {
    let whole = false;
    const socket = new WebSocket(controlUrl, { ...tls, perMessageDeflate: false });
    const send = (message: HostMessage) => socket.send(JSON.stringify(message));
    socket.on('open', () =>
      send({
        type: 'hello',
        ...speaking(hostProtocol),
        cloudId: null,
        ...(remembers && { remembers, holds: stampsOf(documents) }),
        // The first release wants to hear of a socket.
        facts: { ...factsOf(host), socket: null } as HostFacts,
      }),
    );
    socket.on('message', (data) => {
      const message = JSON.parse(data.toString()) as ControlMessage;
      if (message.type !== 'snapshot' && message.type !== 'update') return;
      const complete = message.type === 'snapshot';
      if (message.type === 'snapshot' && message.incarnation !== undefined && message.position !== undefined) {
        remembers = { incarnation: message.incarnation, position: message.position };
      }
      for (const server of message.servers) documents.set(server.id, server);
      const served = [
        ...message.servers,
        ...(complete ? (message.unchanged ?? []).map((id) => documents.get(id)!) : []),
      ];
      if (complete || served.length > 0) send({ type: 'report', complete, servers: served.map(done) });
      if (complete) {
        whole = true;
        inStep++;
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (whole) inStep--;
      setTimeout(dial, redialMs * (0.5 + Math.random()));
    });
  };
  dial();
}

const factsOf = ({ name }: WireHosts['hosts'][number]): HostFacts => ({
  ...testFacts,
  ...{ name, cpus: 64, memoryMiB: 1 << 20, diskGiB: 1 << 16 },
});

const stampsOf = (documents: ReadonlyMap<string, DesiredServer>): Record<string, string> =>
  Object.fromEntries([...documents].flatMap(([id, { stamp }]) => (stamp === undefined ? [] : [[id, stamp]])));

const done = ({ id, epoch, generation, presence, power, reboot }: DesiredServer): ObservedServer => ({
  ...{ id, epoch, generation, rebootCount: reboot.count, step: null, error: null },
  state: presence === 'absent' ? 'absent' : power === 'on' ? 'running' : 'stopped',
  startedAt: presence === 'present' && power === 'on' ? '2026-01-01T00:00:00.000Z' : null,
});

process.once('message', ({ controlUrl, hosts }: WireHosts) => {
  const ca = readFileSync(hosts[0]!.tls.ca);
  for (const host of hosts) run(controlUrl, host, ca);
  setInterval(() => process.send?.(inStep), 50);
});
process.once('disconnect', () => process.exit());
