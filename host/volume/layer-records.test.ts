/** What is believed of the records of layers that others use. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type LayerId, newId } from '../../contract/ids.ts';
import { LayerRecords } from './layer-records.ts';

test('a record is of the layer in its name and of a user of ours; what is damaged is of nobody', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'bothy-records-'));
  t.after(() => rmSync(data, { recursive: true }));
  const [ours, own] = [newId<LayerId>(), newId<LayerId>()];
  const records = new LayerRecords<{ layerId: LayerId; uid: number | null }>('exports', { asOurselves: false });
  assert.deepEqual(records.read(data), []);
  await records.write(data, { layerId: ours, uid: 2000 });
  await records.write(data, { layerId: own, uid: null });
  const put = (text: string, name: string = newId()) =>
    writeFileSync(join(records.directory(data), `${name}.json`), text);
  for (const uid of [0, 999, -1, 2000.5, '2000', {}]) {
    const layerId = newId();
    put(JSON.stringify({ layerId, uid }), layerId);
  }
  put(JSON.stringify({ layerId: ours, uid: 2001 }));
  for (const text of ['', 'null', '[]', '{"layerId"']) put(text);
  put(JSON.stringify({ layerId: ours, uid: 2001 }), 'no id');
  assert.deepEqual(records.read(data), [{ layerId: ours, uid: 2000 }]);
  const asOurselves = new LayerRecords<{ layerId: LayerId; uid: number | null }>('exports', { asOurselves: true });
  assert.deepEqual(
    asOurselves
      .read(data)
      .map(({ layerId }) => layerId)
      .sort(),
    [ours, own].sort(),
  );
  await records.remove(data, ours);
  await records.remove(data, ours);
  assert.deepEqual(records.read(data), []);
});
