/** The fake answers like the real server: the same calls to both, the answers and notifications compared. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { RawBaseType, RawSchema, RawType } from '../../protocols/ovsdb/schema.ts';
import { Session } from '../../protocols/ovsdb/session.ts';
import { northbound } from './northbound.ts';
import { realServer, type Served, serveFake, serveReal } from './testing.ts';
import { vswitch } from './vswitch.ts';

const ls = 'Logical_Switch';
const lsp = 'Logical_Switch_Port';
const named = (name: string) => ['named-uuid', name];
const set = (...atoms: unknown[]) => ['set', atoms];
const map = (pairs: Record<string, string>) => ['map', Object.entries(pairs)];
const nobody = ['uuid', '11111111-1111-4111-8111-111111111111'];
const by = (name: string) => [['name', '==', name]];
const insertPort = (name: string, row: object = {}) => ({
  op: 'insert',
  table: lsp,
  'uuid-name': name,
  row: { name, ...row },
});

/** Each is one transaction, run in this order on both. */
const transactions: [what: string, ...operations: object[]][] = [
  ['a global row', { op: 'insert', table: 'NB_Global', row: {} }],
  ['a second row where one may be', { op: 'insert', table: 'NB_Global', row: {} }],
  [
    'a switch with ports',
    insertPort('p1', { addresses: set('a', 'b'), external_ids: map({ n: '小屋 🏔 "x"; drop' }) }),
    insertPort('p2'),
    { op: 'insert', table: ls, 'uuid-name': 's', row: { name: 's1', ports: set(named('p1'), named('p2')) } },
    { op: 'comment', comment: 'hello' },
  ],
  [
    'a row that nothing references is collected',
    insertPort('orphan'),
    { op: 'select', table: lsp, where: by('orphan') },
  ],
  ['it is gone', { op: 'select', table: lsp, where: by('orphan'), columns: ['name'] }],
  ['select all columns', { op: 'select', table: lsp, where: by('p1') }],
  [
    'a forward reference',
    { op: 'insert', table: ls, row: { name: 's2', ports: set(named('p3')) } },
    insertPort('p3', { addresses: 'one', up: true }),
  ],
  ['a name never given', { op: 'insert', table: ls, row: { name: 'sx', ports: set(named('ghost')) } }],
  ['a name given twice', insertPort('t'), insertPort('t')],
  ['a reference to nothing', { op: 'insert', table: ls, row: { name: 'sx', ports: set(nobody) } }],
  [
    'a duplicate of a unique name',
    insertPort('p1'),
    { op: 'mutate', table: ls, where: by('s1'), mutations: [['ports', 'insert', set(named('p1'))]] },
  ],
  ['deleting what is referenced', { op: 'delete', table: lsp, where: by('p1') }],
  ['update, count', { op: 'update', table: lsp, where: [], row: { enabled: false } }],
  ['update to the same', { op: 'update', table: lsp, where: by('p1'), row: { enabled: set(false) } }],
  ['clear an optional', { op: 'update', table: lsp, where: by('p1'), row: { enabled: set() } }],
  ['change a set', { op: 'update', table: lsp, where: by('p1'), row: { addresses: set('b', 'c') } }],
  ['change a map', { op: 'update', table: lsp, where: by('p1'), row: { external_ids: map({ a: '1', b: '2' }) } }],
  [
    'insert into a map keeps old pairs',
    { op: 'mutate', table: lsp, where: by('p1'), mutations: [['external_ids', 'insert', map({ a: '9', c: '3' })]] },
  ],
  [
    'delete from a map by key',
    { op: 'mutate', table: lsp, where: by('p1'), mutations: [['external_ids', 'delete', set('b', 'zz')]] },
  ],
  [
    'delete from a map by pair',
    { op: 'mutate', table: lsp, where: by('p1'), mutations: [['external_ids', 'delete', map({ a: 'other', c: '3' })]] },
  ],
  ['change a pair', { op: 'update', table: lsp, where: by('p1'), row: { external_ids: map({ a: '2' }) } }],
  [
    'insert into a set',
    { op: 'mutate', table: lsp, where: by('p1'), mutations: [['addresses', 'insert', set('d', 'b')]] },
  ],
  ['delete from a set', { op: 'mutate', table: lsp, where: by('p1'), mutations: [['addresses', 'delete', 'd']] }],
  ['insert into an optional', { op: 'mutate', table: lsp, where: by('p1'), mutations: [['tag', 'insert', 5]] }],
  ['a second value into an optional', { op: 'mutate', table: lsp, where: by('p1'), mutations: [['tag', 'insert', 6]] }],
  [
    'counting',
    {
      op: 'mutate',
      table: 'NB_Global',
      where: [],
      mutations: [
        ['nb_cfg', '+=', 3],
        ['nb_cfg', '*=', 2],
        ['nb_cfg', '-=', 1],
        ['nb_cfg', '%=', 4],
      ],
    },
    { op: 'select', table: 'NB_Global', where: [], columns: ['nb_cfg'] },
  ],
  ['division by zero', { op: 'mutate', table: 'NB_Global', where: [], mutations: [['nb_cfg', '/=', 0]] }],
  ['too large a number', insertPort('px', { tag: 4096 })],
  ['a wrong type', insertPort('px', { tag: 'five' })],
  ['a float for an integer', insertPort('px', { tag: 1.5 })],
  ['a map for a string', insertPort('px', { type: map({}) })],
  ['a set for a string', insertPort('px', { type: set() })],
  ['too many for an optional', insertPort('px', { tag: set(1, 2) })],
  ['a value not in the enumeration', { op: 'insert', table: 'ACL', row: { direction: 'sideways' } }],
  [
    'a name too long',
    { op: 'insert', table: 'ACL', row: { direction: 'to-lport', action: 'drop', name: 'x'.repeat(64) } },
  ],
  ['an enumeration left at its default', { op: 'insert', table: 'ACL', row: {} }],
  ['an unknown table', { op: 'insert', table: 'Nonsense', row: {} }],
  ['an unknown column', insertPort('px', { nonsense: 1 })],
  ['an unknown column in a condition', { op: 'select', table: lsp, where: [['nonsense', '==', 1]] }],
  ['an unknown operation', { op: 'dance' }, { op: 'comment', comment: 'after' }],
  ['abort undoes', { op: 'delete', table: ls, where: [] }, { op: 'abort' }, { op: 'comment', comment: 'after' }],
  [
    'wait that holds',
    { op: 'wait', table: ls, timeout: 0, where: by('s1'), columns: ['name'], until: '==', rows: [{ name: 's1' }] },
  ],
  [
    'wait that does not hold',
    { op: 'wait', table: ls, timeout: 0, where: by('s1'), columns: ['name'], until: '==', rows: [] },
    { op: 'comment', comment: 'x' },
  ],
  [
    'wait until a row has a pair of a map',
    {
      op: 'mutate',
      table: 'NB_Global',
      where: [],
      mutations: [['external_ids', 'insert', map({ epoch: '7', x: 'y' })]],
    },
    {
      ...{ op: 'wait', table: 'NB_Global', timeout: 0, columns: ['name'], until: '!=', rows: [] },
      where: [['external_ids', 'includes', map({ epoch: '7' })]],
    },
  ],
  [
    'wait until a row has another pair of it',
    {
      ...{ op: 'wait', table: 'NB_Global', timeout: 0, columns: ['name'], until: '!=', rows: [] },
      where: [['external_ids', 'includes', map({ epoch: '8' })]],
    },
  ],
  [
    'wait until not',
    { op: 'wait', table: ls, timeout: 0, where: by('s9'), columns: ['name'], until: '!=', rows: [{ name: 's9' }] },
  ],
  ['conditions: includes', { op: 'select', table: lsp, where: [['addresses', 'includes', 'b']], columns: ['name'] }],
  [
    'conditions: excludes',
    { op: 'select', table: lsp, where: [['addresses', 'excludes', set('b', 'one')]], columns: ['name'] },
  ],
  [
    'conditions: map includes',
    { op: 'select', table: lsp, where: [['external_ids', 'includes', map({ a: '2' })]], columns: ['name'] },
  ],
  ['conditions: less', { op: 'select', table: 'NB_Global', where: [['nb_cfg', '<', 2]], columns: ['nb_cfg'] }],
  ['conditions: not', { op: 'select', table: ls, where: [['name', '!=', 's1']], columns: ['name'] }],
  ['conditions: less on a string', { op: 'select', table: ls, where: [['name', '<', 's1']] }],
  [
    'weak references',
    {
      op: 'insert',
      table: 'DHCP_Options',
      'uuid-name': 'd',
      row: { cidr: '10.0.0.0/24', external_ids: map({ k: 'weak' }) },
    },
    { op: 'update', table: lsp, where: by('p1'), row: { dhcpv4_options: set(named('d')) } },
    { op: 'insert', table: 'Port_Group', row: { name: 'g', ports: set(nobody) } },
  ],
  ['a weak reference to nothing vanished', { op: 'select', table: 'Port_Group', where: by('g'), columns: ['ports'] }],
  [
    'weak references vanish with the row',
    { op: 'delete', table: 'DHCP_Options', where: [['cidr', '==', '10.0.0.0/24']] },
  ],
  ['they did', { op: 'select', table: lsp, where: by('p1'), columns: ['dhcpv4_options', 'addresses', 'tag'] }],
  ['move a port', { op: 'update', table: ls, where: by('s1'), row: { ports: set() } }],
  ['ports were collected', { op: 'select', table: lsp, where: [], columns: ['name'] }],
  [
    'a name is free again in the same transaction',
    { op: 'delete', table: ls, where: [] },
    insertPort('p3'),
    { op: 'insert', table: ls, row: { name: 's', ports: set(named('p3')) } },
  ],
  ['write _uuid', { op: 'update', table: ls, where: [], row: { _uuid: nobody } }],
];

test('the fake answers and notifies as ovsdb-server does', {
  skip: realServer ? false : 'ovsdb-server is not installed',
}, async () => {
  const [fake, real] = await Promise.all([record(await serveFake(northbound)), record(await serveReal(northbound))]);
  const different = transactions.flatMap(([what], index) => {
    const [ours, theirs] = [fake[index], real[index]].map((answer) => JSON.stringify(answer));
    return ours === theirs ? [] : [`${what}\n    fake ${ours}\n    real ${theirs}`];
  });
  assert.deepEqual(different, []);
});

/** For each transaction its answer and the notifications that came with it, UUIDs numbered in order of appearance. */
async function record(server: Served): Promise<unknown[]> {
  const notified: unknown[] = [];
  const session = await Session.open({
    target: server.target,
    onNotification: (_method, params) => notified.push(params),
  });
  try {
    const { columns } = { columns: undefined };
    const tables = ['NB_Global', ls, lsp, 'Port_Group', 'DHCP_Options'];
    const requests = Object.fromEntries(tables.map((table) => [table, [{ columns }]]));
    requests.ACL = [{ columns: undefined, where: [['priority', '==', 7]] }] as never;
    await session.call('monitor_cond', ['OVN_Northbound', 'm', requests]);
    const answers: unknown[] = [];
    for (const [, ...operations] of transactions) {
      const answer = await session.call('transact', ['OVN_Northbound', ...operations]);
      await session.call('echo', []);
      answers.push(anonymous({ answer, notified: notified.splice(0) }));
    }
    return answers;
  } finally {
    session.close();
    await server.close();
  }
}

function anonymous(value: unknown): unknown {
  const text = JSON.stringify(value, (key, part) => {
    // The wording of details is the server's own; order in sets and rows is nobody's.
    if (key === 'details' || key === 'syntax') return undefined;
    if (key === '_version') return ['uuid', 'version'];
    if (Array.isArray(part) && (part[0] === 'set' || part[0] === 'map')) return [part[0], sorted(part[1])];
    if (key === 'rows') return sorted(part);
    if (part && typeof part === 'object' && !Array.isArray(part))
      return Object.fromEntries(sorted(Object.entries(part)) as never);
    return part;
  });
  // Which UUID is which cannot be told across servers; kinds and counts can.
  return JSON.parse(
    text
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, () => 'u')
      .replaceAll(
        /"u":/g,
        (() => {
          let n = 0;
          return () => `"u${n++}":`;
        })(),
      ),
  );
}

const sorted = (list: unknown[]) => [...list].sort((a, b) => (shape(a) < shape(b) ? -1 : 1));
const shape = (value: unknown) => JSON.stringify(value).replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'u');

const compare: [RawSchema, string][] = [
  [northbound, '/usr/share/ovn/ovn-nb.ovsschema'],
  [vswitch, '/usr/share/openvswitch/vswitch.ovsschema'],
];
for (const [ours, path] of compare) {
  test(`the built-in part of ${ours.name} is as the installed schema says`, {
    skip: existsSync(path) ? false : `${path} is not installed`,
  }, () => {
    const theirs = JSON.parse(readFileSync(path, 'utf8')) as RawSchema;
    for (const [name, table] of Object.entries(ours.tables)) {
      assert.equal(table.isRoot, theirs.tables[name]?.isRoot ?? false, name);
      assert.deepEqual(table.indexes, theirs.tables[name]?.indexes, name);
      assert.equal(table.maxRows, theirs.tables[name]?.maxRows, name);
      for (const [column, { type, mutable }] of Object.entries(table.columns)) {
        const other = theirs.tables[name]?.columns[column];
        assert.deepEqual(plain(type as RawType), plain(other!.type as RawType), `${name}.${column}`);
        assert.equal(mutable ?? true, other!.mutable ?? true);
      }
    }
  });
}

function plain(type: RawType | string): object {
  const { key, value, min, max } = typeof type === 'string' ? ({ key: type } as RawType) : type;
  const base = (b: RawBaseType | string) =>
    typeof b === 'string' ? { type: b } : b.refTable ? { refType: 'strong', ...b } : b;
  // The notation knows no limit other than one or none; the only other in use is 4096 VLANs.
  const most = max === 4096 ? 'unlimited' : (max ?? 1);
  return { key: base(key as RawBaseType), value: value && base(value as RawBaseType), min: min ?? 1, max: most };
}
