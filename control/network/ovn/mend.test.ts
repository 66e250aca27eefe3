/** What comparing rows cannot show: references that somebody changed by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bringPage } from '../../kit/projection/index.ts';
import { largeGroup, mendPage } from './mend.ts';
import { type IndexedModel, IndexedModel as Model } from './model.ts';
import { NorthboundTarget } from './target.ts';
import { AloneLease, alone, dump, MemoryNorthbound } from './testing/memory-northbound.ts';
import { modelRows } from './testing/representative.ts';
import { dropUnit, type Unit, unit } from './units.ts';

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

async function projected(rows: typeof modelRows): Promise<{ nb: MemoryNorthbound; units: Unit[] }> {
  const [nb, model] = [new MemoryNorthbound(), new Model(rows)];
  const units: Unit[] = [
    dropUnit,
    ...[...model.networks.keys()].map((id) => unit('network', id)),
    ...[...model.addressGroups.keys()].map((id) => unit('address_group', id)),
    ...[...model.securityGroups.keys()].map((id) => unit('security_group', id)),
    ...[...model.ports.keys()].map((id) => unit('port', id)),
    ...[...model.routers.keys()].map((id) => unit('router', id)),
  ];
  for (const { error } of await bringPage(new ModelTarget(nb, model), units, alone.mayWrite)) assert.ifError(error);
  return { nb, units };
}

test('a child that was hung on another parent comes back to the one that its stamp names', async () => {
  const { nb, units } = await projected(modelRows);
  const before = dump(nb.database);
  assert.equal(await mendPage(nb, nb.actual, units), 0);
  const switches = [...nb.database.rows('Logical_Switch').values()];
  const from = switches.find((row) => (row.acls as string[]).length > 0)!;
  const to = switches.find((row) => row !== from)!;
  const one = (from.acls as string[]).slice(0, 1);
  nb.database.edit((tx) => {
    tx.mutate('Logical_Switch', from._uuid, [['acls', 'delete', one]]);
    tx.mutate('Logical_Switch', to._uuid, [['acls', 'insert', one]]);
  });
  assert.notDeepEqual(dump(nb.database), before);
  assert.equal(await mendPage(nb, nb.actual, units), 1);
  assert.deepEqual(dump(nb.database), before);
});

test('members of small and of large groups are put right, and foreign ones are left', async () => {
  const guest = modelRows.ports!.find((port) => port.security_group_ids.length > 0)!;
  const open = modelRows.ports!.find((port) => !port.port_security_enabled)!;
  const copy = (n: number, port: typeof guest) => {
    const digits = n.toString(16).padStart(4, '0');
    const mac = `02:00:00:00:${digits.slice(0, 2)}:${digits.slice(2)}`;
    return { ...port, id: `${guest.id.slice(0, -6)}99${digits}`, mac, security_group_ids: [] as string[] };
  };
  const many = Array.from({ length: largeGroup + 50 }, (_, n) => copy(n, guest));
  const { nb, units } = await projected({ ...modelRows, ports: [...modelRows.ports!, ...many] });
  nb.actual.measureGroups(largeGroup);
  assert.deepEqual(
    nb.actual.largeGroups().map(({ name }) => name),
    ['bothy_drop'],
  );
  const before = dump(nb.database);
  const pages = Array.from({ length: Math.ceil(units.length / 200) }, (_, n) => units.slice(n * 200, n * 200 + 200));
  const mend = async () => {
    let mended = 0;
    for (const page of pages) mended += await mendPage(nb, nb.actual, page);
    return mended;
  };
  assert.equal(await mend(), 0);
  const groups = [...nb.database.rows('Port_Group').values()];
  nb.database.edit((tx) => {
    for (const { _uuid, ports } of groups)
      tx.mutate('Port_Group', _uuid, [['ports', 'delete', (ports as string[]).slice(0, 1)]]);
    const stranger = [...nb.database.rows('Logical_Switch_Port').values()].find((row) => row.name === open.id)!;
    for (const { _uuid } of groups) tx.mutate('Port_Group', _uuid, [['ports', 'insert', [stranger._uuid]]]);
  });
  assert.ok((await mend()) > 0);
  assert.deepEqual(dump(nb.database), before);
});
