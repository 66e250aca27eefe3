/** The OVSDB client against the fake server and, where installed, against ovsdb-server. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type ColumnChange,
  configReached,
  OvsdbClient,
  OvsdbError,
  raiseConfig,
  Session,
  TransactionError,
} from '../../protocols/ovsdb/index.ts';
import { until } from '../../test/support/until.ts';
import { FakeDatabase, FakeOvsdbServer, northbound } from './index.ts';
import { realServer, type Served, serveFake, serveReal } from './testing.ts';

const tables = {
  NB_Global: ['nb_cfg', 'sb_cfg', 'hv_cfg'],
  Logical_Switch: 'all',
  Logical_Switch_Port: 'all',
} as const;
const soon = { timeoutMs: 5000 };
const strange = '小屋 🏔 "x"; drop \\ { } [ \u0001';

const connect = (target: string) =>
  new OvsdbClient({ target, database: 'OVN_Northbound', monitor: tables, backoff: { firstMs: 10, maxMs: 50 } }).start();

const backends: [name: string, serve: () => Promise<Served>, skip: string | false][] = [
  ['fake', () => serveFake(northbound), false],
  ['ovsdb-server', () => serveReal(northbound), realServer ? false : 'ovsdb-server is not installed'],
];

for (const [name, serve, skip] of backends) {
  const suite = (what: string, body: (client: OvsdbClient, server: Served) => Promise<void>) =>
    test(`${name}: ${what}`, { skip }, async () => {
      const server = await serve();
      const client = connect(server.target);
      try {
        await client.ready(soon);
        await body(client, server);
      } finally {
        await client.stop();
        await server.close();
      }
    });

  suite('what was committed appears in the copy, in any script', async (client) => {
    const tx = client.transaction();
    const port = tx.insert('Logical_Switch_Port', { name: strange, addresses: ['b', 'a'], up: true });
    const net = tx.insert('Logical_Switch', { name: 's', ports: [port], external_ids: { [strange]: strange } });
    const results = await client.transact(tx);
    const uuid = tx.uuidOf(net, results);
    await client.replica.until('the switch', () => client.replica.row('Logical_Switch', uuid) !== undefined, soon);
    const row = client.replica.row('Logical_Switch', uuid)!;
    assert.deepEqual(row.external_ids, { [strange]: strange });
    assert.deepEqual(row.ports, [tx.uuidOf(port, results)]);
    const copied = client.replica.row('Logical_Switch_Port', tx.uuidOf(port, results))!;
    assert.deepEqual([copied.name, copied.addresses, copied.up, copied.enabled], [strange, ['a', 'b'], true, null]);
  });

  suite('differences of sets, maps and optionals are applied; the index follows', async (client) => {
    const index = client.replica.index('Logical_Switch', (row) => (row.external_ids as Record<string, string>).k);
    let tx = client.transaction();
    const net = tx.insert('Logical_Switch', { name: 's', external_ids: { k: '1', gone: 'x' } });
    const uuid = tx.uuidOf(net, await client.transact(tx));
    await client.replica.until('the row', () => index.get('1').length === 1, soon);
    tx = client.transaction();
    tx.update('Logical_Switch', uuid, { external_ids: { k: '2', constructor: 'y' } });
    await client.transact(tx);
    await client.replica.until('the change', () => index.get('2').length === 1, soon);
    assert.deepEqual(client.replica.row('Logical_Switch', uuid)!.external_ids, { constructor: 'y', k: '2' });
    assert.deepEqual([...index.keys()], ['2']);
    tx = client.transaction();
    tx.mutate('Logical_Switch', uuid, [['external_ids', 'delete', ['k']]]);
    await client.transact(tx);
    await client.replica.until('the key is gone', () => index.get('2').length === 0, soon);
  });

  suite('columns that are watched are told of by what they gain or lose, and are not copied', async (client, server) => {
    const told: ColumnChange[] = [];
    const watcher = new OvsdbClient({
      ...{ target: server.target, database: 'OVN_Northbound', monitor: { Port_Group: ['name'] } },
      watch: { columns: { Port_Group: ['ports'] }, changed: (changes) => told.push(...changes) },
    }).start();
    await using _stop = { [Symbol.asyncDispose]: () => watcher.stop() };
    await watcher.ready(soon);
    let tx = client.transaction();
    const ports = ['p1', 'p2'].map((name) => tx.insert('Logical_Switch_Port', { name }));
    tx.insert('Logical_Switch', { name: 's', ports });
    const group = tx.insert('Port_Group', { name: 'g', ports });
    const results = await client.transact(tx);
    const [first, second, uuid] = [...ports, group].map((place) => tx.uuidOf(place, results));
    await watcher.replica.until('the group', () => watcher.replica.row('Port_Group', uuid!) !== undefined, soon);
    assert.deepEqual(Object.keys(watcher.replica.row('Port_Group', uuid!)!), ['_uuid', 'name']);
    const change = (column: string, mutator: 'insert' | 'delete', list: string[]) => {
      tx = client.transaction();
      tx.mutate('Port_Group', uuid!, [[column, mutator, list]]);
      return client.transact(tx);
    };
    await change('ports', 'delete', [first!]);
    await change('ports', 'insert', [first!]);
    await change('ports', 'delete', [second!]);
    await until('all is told', () => told.length === 3);
    const row = { table: 'Port_Group', uuid, column: 'ports' };
    assert.deepEqual(
      told,
      [first, first, second].map((each) => ({ ...row, difference: [each] })),
    );
  });

  suite('transactions that become one do what each would have done, and name their rows apart', async (client) => {
    const parts = ['a', 'b'].map((name) => {
      const part = client.transaction(`${name}_`);
      const port = part.insert('Logical_Switch_Port', { name });
      part.insert('Logical_Switch', { name, ports: [port] });
      return { part, port };
    });
    const first = client.transaction();
    first.include(parts.map(({ part }) => part));
    const results = await client.transact(first);
    const [a, b] = parts.map(({ port }) => first.uuidOf(port, results));
    const make = client.transaction();
    const place = make.insert('Port_Group', { name: 'g', ports: [a!] });
    const group = make.uuidOf(place, await client.transact(make));
    const out = client.transaction('out_');
    out.mutate('Port_Group', group, [['ports', 'delete', [a!]]]);
    const into = client.transaction('into_');
    const third = into.insert('Logical_Switch_Port', { name: 'c' });
    into.insert('Logical_Switch', { name: 'c', ports: [third] });
    into.mutate('Port_Group', group, [['ports', 'insert', [third]]]);
    const also = client.transaction('also_');
    also.mutate('Port_Group', group, [['ports', 'insert', [b!]]]);
    const both = client.transaction();
    both.include([out, into, also]);
    assert.equal(both.operations.filter(({ op }) => op === 'mutate').length, 2);
    const uuid = both.uuidOf(third, await client.transact(both));
    const read = client.transaction();
    const asked = read.select('Port_Group', group, ['ports']);
    assert.deepEqual(read.rowsOf(asked, await client.transact(read))[0]!.ports, [b!, uuid].sort());
  });

  suite('a refused operation and a refused commit name what was refused, and nothing happens', async (client) => {
    const tx = client.transaction();
    tx.insert('Logical_Switch', { name: 'a' });
    tx.wait('Logical_Switch', [['name', '==', 'a']], '==', [], ['name']);
    await assert.rejects(client.transact(tx), (error) => {
      assert.ok(error instanceof TransactionError);
      assert.deepEqual([error.operation, error.tag], [1, 'timed out']);
      return true;
    });
    const second = client.transaction();
    const port = second.insert('Logical_Switch_Port', { name: 'p' });
    const twin = second.insert('Logical_Switch_Port', { name: 'p' });
    second.insert('Logical_Switch', { name: 'a', ports: [port, twin] });
    await assert.rejects(client.transact(second), (error) => {
      assert.ok(error instanceof TransactionError);
      assert.deepEqual([error.operation, error.tag], [3, 'constraint violation']);
      return true;
    });
    const third = client.transaction();
    const select = third.select('Logical_Switch', [], ['name']);
    assert.deepEqual(third.rowsOf(select, await client.transact(third)), []);
  });

  suite('a lost connection empties the copy until a new one is complete', async (client, server) => {
    const tx = client.transaction();
    tx.insert('Logical_Switch', { name: 'kept' });
    await client.transact(tx);
    const events: string[] = [];
    client.replica.listen({ lost: () => events.push('lost'), complete: () => events.push('complete') });
    const lost = new Promise<void>((resolve) => client.replica.listen({ lost: resolve }));
    const restarted = server.restart();
    await lost;
    assert.throws(() => client.replica.rows('Logical_Switch'), { kind: 'incomplete' });
    await restarted;
    await client.ready(soon);
    assert.deepEqual(events, ['lost', 'complete']);
    assert.deepEqual(
      [...client.replica.rows('Logical_Switch').values()].map((row) => row.name),
      ['kept'],
    );
  });

  suite('the barrier waits for the counter, with a deadline', async (client) => {
    const tx = client.transaction();
    tx.insert('NB_Global', {});
    const number = raiseConfig(tx);
    assert.equal(number(await client.transact(tx)), 1);
    await assert.rejects(configReached(client, 1, { timeoutMs: 20 }), { kind: 'timeout' });
    const reached = configReached(client, 1, soon);
    const confirm = client.transaction();
    confirm.update('NB_Global', [], { hv_cfg: 1 });
    await client.transact(confirm);
    await reached;
  });

  suite('an unknown table or column is an error of the caller', async (client) => {
    assert.throws(() => client.transaction().insert('Nonsense', {}), OvsdbError);
    assert.throws(() => client.transaction().insert('Logical_Switch', { nonsense: 1 }), OvsdbError);
  });

  suite('many changes from several clients arrive whole', async (client, server) => {
    const other = connect(server.target);
    await other.ready(soon);
    const insert = (who: OvsdbClient, n: number) => {
      const tx = who.transaction();
      tx.insert('Logical_Switch', { name: `s${n}`, external_ids: { pad: 'ü'.repeat(200) } });
      return who.transact(tx);
    };
    await Promise.all(Array.from({ length: 200 }, (_, n) => insert(n % 2 ? client : other, n)));
    for (const each of [client, other]) {
      await each.replica.until('all switches', () => each.replica.rows('Logical_Switch').size === 200, soon);
    }
    await other.stop();
  });
}

test('a server that falls silent is given up and another is tried', async () => {
  const first = new FakeOvsdbServer([new FakeDatabase(northbound)]);
  const second = new FakeOvsdbServer([new FakeDatabase(northbound)]);
  const targets = [await first.listen({ port: 0 }), await second.listen({ port: 0 })];
  const client = new OvsdbClient({
    target: targets,
    database: 'OVN_Northbound',
    monitor: tables,
    probeMs: 30,
    backoff: { firstMs: 5, maxMs: 20 },
  }).start();
  try {
    await client.ready(soon);
    first.silent = true;
    await new Promise<void>((resolve) => client.replica.listen({ complete: resolve }));
    assert.equal(second.connections, 1);
  } finally {
    await client.stop();
    await Promise.all([first.close(), second.close()]);
  }
});

test("the server's echo is answered", async () => {
  const server = await served();
  const session = await Session.open({ target: server.target });
  await session.call('list_dbs', []);
  assert.equal(await server.fake.probe(1000), 1);
  session.close();
  await server.fake.close();
});

test('a call that is not answered ends at its deadline', async () => {
  const server = await served();
  const session = await Session.open({ target: server.target });
  server.fake.silent = true;
  await assert.rejects(session.call('list_dbs', [], { timeoutMs: 20 }), { kind: 'timeout' });
  session.close();
  await server.fake.close();
});

test('a missing server is reported with its target, and retried with growing pauses', async () => {
  const pauses: number[] = [];
  const enough = Promise.withResolvers<void>();
  const client = new OvsdbClient({
    target: `unix:${join('/nonexistent', 'nb.sock')}`,
    database: 'OVN_Northbound',
    backoff: { firstMs: 4, maxMs: 16 },
    onState: (state) => {
      if (state.connected) return;
      assert.match(state.error.message, /nonexistent/);
      if (pauses.push(state.retryMs) === 5) enough.resolve();
    },
  }).start();
  await enough.promise;
  await client.stop();
  assert.ok(pauses[0]! <= 4 && pauses.every((pause) => pause <= 16) && pauses[4]! >= 8, String(pauses));
  await assert.rejects(client.transact([]), { kind: 'connection' });
});

async function served(): Promise<{ target: string; fake: FakeOvsdbServer }> {
  const fake = new FakeOvsdbServer([new FakeDatabase(northbound)]);
  return { fake, target: await fake.listen({ port: 0 }) };
}
