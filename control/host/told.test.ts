/** A change finds whom it may concern by what they were told, and asks nobody else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DesiredNetwork, DesiredServer } from '../../contract/host/index.ts';
import { newId, type ServerId } from '../../contract/ids.ts';
import type { Change } from '../kit/change-log/changes.ts';
import { resources } from '../resources.ts';
import { looksOf, Marks, markDirty } from './interest.ts';
import type { HostSession } from './session.ts';
import { Told } from './told.ts';
import { HostView } from './view.ts';

interface Seen {
  session: HostSession;
  view: HostView;
  asked: number;
}

function sessionTold(told: Told<HostSession>): Seen {
  const seen: Seen = { asked: 0 } as Seen;
  seen.view = new HostView({
    learned: (kind, id) => told.add(kind, id, seen.session),
    forgot: (kind, id) => told.remove(kind, id, seen.session),
  });
  const dirtyServers = new Set<ServerId>();
  seen.session = {
    dirtyServers,
    get view() {
      seen.asked++;
      return seen.view;
    },
  } as unknown as HostSession;
  return seen;
}

const document = (id: string, port: string, network: string, generation = 1) =>
  ({ id, epoch: 1, generation, ports: [{ id: port, networkId: network }] }) as unknown as DesiredServer;

const change = (resource_type: string, resource_id: string, body: Record<string, unknown>) =>
  ({ resource_type, resource_id, action: 'updated', body }) as unknown as Change;

function thousand() {
  const told = new Told<HostSession>();
  const hosts = Array.from({ length: 1000 }, () => sessionTold(told));
  const ids = hosts.map(() => ({ server: newId(), port: newId(), network: newId() }));
  const byHost = new Map<string, HostSession>();
  for (const [n, host] of hosts.entries()) {
    const { server, port, network } = ids[n]!;
    host.view.tellServers([document(server, port, network)]);
    host.view.tellNetworks([{ id: network } as unknown as DesiredNetwork]);
    byHost.set(newId(), host.session);
  }
  return { told, hosts, ids, byHost };
}

test('of a thousand hosts only the one that was told of it hears of a port, a network or a server that changed', () => {
  const { told, hosts, ids, byHost } = thousand();
  const { server, port, network } = ids[500]!;
  for (const one of [
    change('port', port, { network_id: network, device_owner: 'compute:nova' }),
    change('network', network, {}),
    change('server', server, { host_id: null }),
  ]) {
    for (const host of hosts) {
      host.asked = 0;
      host.session.dirtyServers.clear();
    }
    markDirty(looksOf(resources), new Marks({ byHost, told }, new Set()), [one]);
    const marked = hosts.filter(({ session }) => session.dirtyServers.size > 0);
    assert.deepEqual(
      marked.map(({ session }) => [...session.dirtyServers]),
      [[server]],
      one.resource_type,
    );
    const asked = hosts.reduce((sum, host) => sum + host.asked, 0);
    assert.ok(asked <= 3, `${asked} looks into views for a change of a ${one.resource_type}`);
  }
});

test('of a named floating IP only the hosts with a network of its project hear, as long as they have one', () => {
  const told = new Told<HostSession>();
  const [project, a, b] = [newId(), newId(), newId()];
  const [own, other] = [sessionTold(told), sessionTold(told)];
  const networks = (...ids: string[]) => ids.map((id) => ({ id, projectId: project }) as unknown as DesiredNetwork);
  own.view.tellNetworks(networks(a, b));
  other.view.tellNetworks([{ id: newId(), projectId: newId() } as unknown as DesiredNetwork]);
  const asked = (dns_name: string) => {
    for (const { session } of [own, other]) session.dirtyNetworks = false;
    const created = change('floating_ip', newId(), { project_id: project, dns_name });
    markDirty(looksOf(resources), new Marks({ byHost: new Map(), told }, new Set()), [created]);
    return [own, other].map(({ session }) => session.dirtyNetworks);
  };
  assert.deepEqual(asked('door'), [true, false]);
  assert.deepEqual(asked(''), [false, false], 'one without a name');
  own.view.tellNetworks(networks(b));
  assert.deepEqual(asked('door'), [true, false]);
  own.view.tellNetworks([]);
  assert.deepEqual(asked('door'), [false, false]);
});

test('of a router’s interface the hosts hear that have its network, for their resolvers: it may translate', () => {
  const told = new Told<HostSession>();
  const network = newId();
  const [near, far] = [sessionTold(told), sessionTold(told)];
  near.view.tellNetworks([{ id: network } as unknown as DesiredNetwork]);
  far.view.tellNetworks([{ id: newId() } as unknown as DesiredNetwork]);
  const asked = (device_owner: string) => {
    for (const { session } of [near, far]) session.dirtyNetworks = false;
    const changed = change('port', newId(), { network_id: network, device_owner });
    markDirty(looksOf(resources), new Marks({ byHost: new Map(), told }, new Set()), [changed]);
    return [near, far].map(({ session }) => session.dirtyNetworks);
  };
  assert.deepEqual(asked('network:router_interface'), [true, false]);
  assert.deepEqual(asked('compute:nova'), [false, false]);
});

test('what is told again elsewhere, forgotten or ended is found nowhere else', () => {
  const told = new Told<HostSession>();
  const { view, session } = sessionTold(told);
  const [a, b, port, network, other] = [newId<ServerId>(), newId<ServerId>(), newId(), newId(), newId()];
  view.tellServers([document(a, port, network)]);
  view.tellServers([document(b, port, network)]);
  view.tellServers([document(a, newId(), other, 2)]);
  assert.equal(view.serverOfPort(port as never), b, 'the port is its new server’s');
  assert.deepEqual([...told.of('port', port)], [session]);
  assert.deepEqual([...view.serversOnNetwork(network as never)], [b]);
  view.servers.forget(b);
  assert.deepEqual([...told.of('network of a server', network)], []);
  view.tellNetworks([{ id: network } as unknown as DesiredNetwork]);
  view.forgetAll();
  assert.equal(told.size, 0);
});

test('an address that comes with its port asks only the metadata port’s hosts for their networks', () => {
  const told = new Told<HostSession>();
  const network = newId();
  const hosts = [sessionTold(told), sessionTold(told)];
  for (const { view } of hosts) view.tellNetworks([{ id: network } as unknown as DesiredNetwork]);
  const asked = (changes: Change[]) => {
    for (const { session } of hosts) session.dirtyNetworks = false;
    markDirty(looksOf(resources), new Marks({ byHost: new Map(), told }, new Set()), changes);
    return hosts.filter(({ session }) => session.dirtyNetworks).length;
  };
  const port = newId();
  const address = change('port_ip', port, { network_id: network });
  const portOf = (owner: string) => change('port', port, { network_id: network, device_owner: owner });
  assert.equal(asked([portOf('compute:nova'), address]), 0);
  assert.equal(asked([portOf('network:distributed'), address]), 2);
  assert.equal(asked([address]), 2, 'whose it is nobody knows');
});
