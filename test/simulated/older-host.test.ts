/** A host that speaks the protocol of before digests came later. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { type ControlMessage, type DesiredServer, hostProtocol } from '../../contract/host/index.ts';
import { type HostId, newId } from '../../contract/ids.ts';
import { Accounts, type HostConnection } from '../../control/host/connection.ts';
import { HostSession, type SessionOwner } from '../../control/host/session.ts';
import { Told } from '../../control/host/told.ts';
import { wantedServer } from '../support/host-world.ts';

const image = (sha256: string | null): DesiredServer['image'] => {
  return { id: newId(), format: 'qcow2', sizeBytes: 1, sha256, sources: [] };
};

test('it is told of a server when its image has a digest; what it holds of one that has to wait is in force', async () => {
  const [known, fresh, rebuilt] = [image('a'.repeat(64)), image(null), image(null)].map((each) => wantedServer(each));
  const said: ControlMessage[] = [];
  const nothing = () => {};
  const connection: HostConnection = {
    ...{ ping: nothing, close: nothing, terminate: nothing, pause: nothing, resume: nothing, bufferedBytes: 0 },
    send: (text: string) => void said.push(JSON.parse(text)),
  };
  const held = { servers: [], layers: undefined };
  const opened = Promise.withResolvers<void>();
  const owner: SessionOwner = {
    ...{ cloudId: newId(), leaseMs: 1000, protocol: hostProtocol, log: pino({ level: 'silent' }), told: new Told() },
    controls: () => [],
    accounts: new Accounts(),
    connect: async () => true,
    readSnapshot: async () => ({ servers: [known!, fresh!, rebuilt!], networks: [], images: [], pools: [], held }),
    record: async () => ({ servers: [], layers: [] }),
    quarantined: async () => {},
    metered: async () => {},
    handOutKeys: async () => [],
    opened: () => opened.resolve(),
    ended: nothing,
  };
  const session = new HostSession(newId<HostId>(), connection, owner);
  const facts = {
    ...{ name: 'h', accelerator: 'tcg', acceleratorReason: '', architecture: 'x86_64', cpus: 1, memoryMiB: 1024 },
    ...{ diskGiB: 10, datapath: 'netdev', qemuVersion: '7', bothyVersion: '0', url: 'https://127.0.0.1:1' },
  };
  const holds = { [rebuilt!.id]: 'b'.repeat(32) };
  session.received(JSON.stringify({ type: 'hello', protocol: 1, cloudId: null, facts, holds }));
  await opened.promise;
  const ids = (message: ControlMessage | undefined) =>
    message?.type === 'snapshot' || message?.type === 'update' ? message.servers.map(({ id }) => id) : undefined;
  const snapshot = said.at(-1) as ControlMessage & { type: 'snapshot' };
  assert.deepEqual([ids(snapshot), snapshot.unchanged], [[known!.id], [rebuilt!.id]]);
  const { image: now, ...rest } = fresh!;
  const tell = (server: DesiredServer) =>
    session.send({ type: 'update', servers: [server], networks: [], removedNetworks: [] });
  tell(fresh!);
  assert.deepEqual(ids(said.at(-1)), []);
  tell({ ...rest, image: { ...now!, sha256: 'c'.repeat(64) } });
  assert.deepEqual(ids(said.at(-1)), [fresh!.id]);
});
