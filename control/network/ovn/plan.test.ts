/** Plans over a fake northbound database in memory: a row that moves to another parent is there, and only there. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bringPage } from '../../kit/projection/index.ts';
import { monitored, rootTables } from './actual.ts';
import type { DesiredRow, RowName } from './desired.ts';
import { IndexedModel, type ModelRows } from './model.ts';
import { planUnit } from './plan.ts';
import { NorthboundTarget } from './target.ts';
import { AloneLease, alone, dump, MemoryNorthbound } from './testing/memory-northbound.ts';
import { ids, modelRows } from './testing/representative.ts';
import { allUnits } from './testing/units.ts';
import { type Unit, unit } from './units.ts';

/** The target, with its truth in memory. */
class ModelTarget extends NorthboundTarget {
  readonly #model: IndexedModel;
  constructor(nb: MemoryNorthbound, model: IndexedModel) {
    super({ db: undefined as never, client: nb, lease: new AloneLease(), actual: nb.actual, events: alone });
    this.#model = model;
  }
  override async load(): Promise<IndexedModel> {
    return this.#model;
  }
}

const golden = join(import.meta.dirname, 'testing/moved-gateway.golden.txt');
const owner = unit('router', ids.router);

async function bring(nb: MemoryNorthbound, desired: readonly DesiredRow[], name: Unit = owner): Promise<void> {
  const transaction = nb.transaction();
  planUnit({ transaction, schema: nb.schema, actual: nb.actual, owner: name }, desired, nb.actual.rowsOf(name));
  if (!transaction.empty) await nb.transact(transaction);
}

/** Columns without which the schema refuses a row of the table. */
const least: Readonly<Record<string, DesiredRow['columns']>> = {
  ACL: { direction: 'to-lport', action: 'drop' },
  Logical_Router_Port: { name: 'lrp', networks: ['10.0.0.1/24'] },
  Logical_Switch_Port: { name: 'lsp' },
  NAT: { type: 'snat' },
  QoS: { direction: 'to-lport' },
  Gateway_Chassis: { name: 'chassis' },
  Logical_Router_Policy: { action: 'allow' },
};

/** Each way in which the schema lets a row hang on another: table and column of the holder, table of the held. */
function holds(nb: MemoryNorthbound): { table: string; column: string; child: string }[] {
  return [...nb.schema.tables.values()].flatMap((table) =>
    [...table.columns].flatMap(([column, { key }]) =>
      key.type === 'uuid' && key.refTable && key.refType !== 'weak' && !rootTables.has(key.refTable)
        ? [{ table: table.name, column, child: key.refTable }]
        : [],
    ),
  );
}

test('a row of any kind that moves to another parent hangs there and nowhere else', async () => {
  const kinds = holds(new MemoryNorthbound()).filter(({ table, child }) => table in monitored && child in monitored);
  assert.ok(kinds.length >= 7, JSON.stringify(kinds));
  for (const { table, column, child } of kinds) {
    const parents = (['a', 'b'] as const).map((key): DesiredRow => {
      const row = { table, key, columns: { ...least[table], name: key } };
      if (rootTables.has(table)) return row;
      return { ...row, parent: { table: 'Logical_Router', owner, key: 'root', column: 'ports' } };
    });
    const root: DesiredRow = { table: 'Logical_Router', key: 'root', columns: { name: 'root' } };
    const under = (key: string): DesiredRow[] => [
      root,
      ...parents,
      { table: child, key: 'moves', columns: least[child] ?? {}, parent: { table, owner, key, column } },
    ];
    const [moved, straight] = [new MemoryNorthbound(), new MemoryNorthbound()];
    await bring(moved, under('a'));
    await bring(moved, under('b'));
    await bring(straight, under('b'));
    assert.deepEqual(dump(moved.database), dump(straight.database), `${child} under ${table}.${column}`);
    await bring(moved, [root, ...parents]);
    assert.ok(!dump(moved.database).some((line) => line.includes(':moves ')), `${child} is gone`);
  }
});

test('what hangs on a row that moves, moves with it', async () => {
  const routers = ['a', 'b'].map((key): DesiredRow => ({ table: 'Logical_Router', key, columns: { name: key } }));
  const under = (key: string): DesiredRow[] => {
    const port: RowName = { table: 'Logical_Router_Port', owner, key: 'port' };
    return [
      ...routers,
      {
        ...{ table: port.table, key: port.key, columns: least[port.table]! },
        parent: { table: 'Logical_Router', owner, key, column: 'ports' },
      },
      {
        ...{ table: 'Gateway_Chassis', key: 'host', columns: { name: 'host' } },
        parent: { ...port, column: 'gateway_chassis' },
      },
    ];
  };
  const [moved, straight] = [new MemoryNorthbound(), new MemoryNorthbound()];
  await bring(moved, under('a'));
  await bring(moved, under('b'));
  await bring(straight, under('b'));
  assert.deepEqual(dump(moved.database), dump(straight.database));
  // Nothing more to do.
  const sent = moved.sent.length;
  await bring(moved, under('b'));
  assert.equal(moved.sent.length, sent);
});

/** Brings each of the models in turn. @param before what was brought earlier, whose units may be gone */
async function pass(nb: MemoryNorthbound, turns: ModelRows[], before?: ModelRows): Promise<void> {
  const known = before ? [before, ...turns] : turns;
  const names = new Set(known.flatMap((rows) => allUnits(new IndexedModel(rows))));
  for (const rows of turns) {
    const outcomes = await bringPage(new ModelTarget(nb, new IndexedModel(rows)), [...names], alone.mayWrite);
    for (const { error } of outcomes) assert.ifError(error);
  }
}

test('of several gateways each has chassis, translation and isolation; one that takes the first one’s place keeps what it has', async () => {
  const other = '00000000-0000-7000-8000-000e00000002';
  const network = modelRows.networks!.find(({ id }) => id === ids.external)!;
  const first = modelRows.ports!.find(
    (port) => port.device_id === ids.router && port.device_owner === 'network:router_gateway',
  )!;
  const subnet = modelRows.subnets!.find((row) => row.network_id === ids.external && row.ip_version === 4)!;
  const away = { ...subnet, id: `${other.slice(0, -2)}99`, network_id: other, cidr: '198.51.100.0/24' };
  const further = {
    ...first,
    ...{ id: `${first.id.slice(0, -2)}77`, mac: 'fa:16:3e:00:00:77', network_id: other },
    ips: [{ subnet_id: away.id, ip: '198.51.100.1' }],
  };
  const routers = (over: object) =>
    modelRows.routers!.map((row) => (row.id === ids.router ? { ...row, ...over } : row));
  const both: ModelRows = {
    ...modelRows,
    networks: [...modelRows.networks!, { ...network, id: other, name: 'elsewhere' }],
    subnets: [...modelRows.subnets!, { ...away, gateway_ip: '198.51.100.254' }],
    ports: [...modelRows.ports!, further],
    routers: routers({ default_route_ecmp: true }),
    floatingIps: [],
    portForwardings: [],
  };
  const promoted: ModelRows = {
    ...both,
    ports: [...modelRows.ports!.filter((port) => port !== first), further],
    routers: routers({ default_route_ecmp: true, gateway_network_id: other }),
  };
  const [incremental, swapped, fresh, back] = Array.from({ length: 4 }, () => new MemoryNorthbound());
  await pass(incremental!, [{ ...both, ports: modelRows.ports! }, both]);
  const lines = dump(incremental!.database);
  const count = (table: string, text: string) =>
    lines.filter((line) => line.startsWith(`${table}:router/${ids.router}`) && line.includes(text)).length;
  assert.deepEqual(
    [count('NAT', '198.51.100.1'), count('NAT', '203.0.113.1'), count('ACL', 'outport'), count('Gateway_Chassis', '')],
    [1, 1, 2, 4],
  );
  assert.equal(count('Logical_Router_Static_Route', '0.0.0.0/0'), 2);
  await pass(incremental!, [promoted], both);
  await pass(fresh!, [promoted]);
  assert.deepEqual(dump(incremental!.database), dump(fresh!.database));
  const firstOther = { ...both, routers: routers({ default_route_ecmp: true, gateway_network_id: other }) };
  await pass(swapped!, [both, firstOther, both]);
  await pass(back!, [both]);
  assert.deepEqual(dump(swapped!.database), dump(back!.database));
});

test("a router's gateway that moves to another external network takes chassis and isolation along", async () => {
  const other = '00000000-0000-7000-8000-000e00000002';
  const network = modelRows.networks!.find(({ id }) => id === ids.external)!;
  const gateway = modelRows.ports!.find(
    (port) => port.device_id === ids.router && port.device_owner === 'network:router_gateway',
  )!;
  const subnet = modelRows.subnets!.find((row) => row.network_id === ids.external && row.ip_version === 4)!;
  const here = { ...modelRows, networks: [...modelRows.networks!, { ...network, id: other, name: 'elsewhere' }] };
  const away = { ...subnet, id: `${other.slice(0, -2)}99`, network_id: other, cidr: '198.51.100.0/24' };
  const before = { ...here, subnets: [...modelRows.subnets!, { ...away, gateway_ip: '198.51.100.254' }] };
  const moved = {
    ...gateway,
    ...{ id: `${gateway.id.slice(0, -2)}77`, mac: 'fa:16:3e:00:00:77', network_id: other },
    ips: [{ subnet_id: away.id, ip: '198.51.100.1' }],
  };
  const after = {
    ...before,
    ports: [...modelRows.ports!.filter((port) => port !== gateway), moved],
    routers: modelRows.routers!.map((row) => (row.id === ids.router ? { ...row, gateway_network_id: other } : row)),
    floatingIps: [],
  };
  const [incremental, fresh] = [new MemoryNorthbound(), new MemoryNorthbound()];
  await pass(incremental, [before]);
  const [sent, lines] = [incremental.sent.length, dump(incremental.database)];
  await pass(incremental, [after], before);
  await pass(fresh, [after]);
  assert.deepEqual(dump(incremental.database), dump(fresh.database));
  const now = dump(incremental.database);
  const text = [
    ...lines.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
    ...now.filter((line) => !lines.includes(line)).map((line) => `+ ${line}`),
  ];
  assert.ok(incremental.sent.length > sent);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, `${text.join('\n')}\n`);
  assert.equal(`${text.join('\n')}\n`, readFileSync(golden, 'utf8'));
});
