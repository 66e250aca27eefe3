import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type LayerId, newOrderedId } from '../../contract/ids.ts';
import { LayerLedger } from './ledger.ts';

async function ledgerOf(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'll-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const open = async () => {
    const ledger = new LayerLedger(directory);
    await ledger.open();
    return ledger;
  };
  return { open, ledger: await open(), file: join(directory, 'layers') };
}

const onLayer = () => ({ kind: 'layer', id: newOrderedId<LayerId>() }) as const;

test('what files may say that they build on is known after every start, and goes with the layer', async (t) => {
  const { open, ledger } = await ledgerOf(t);
  const [one, other, gone] = [newOrderedId<LayerId>(), newOrderedId<LayerId>(), newOrderedId<LayerId>()];
  const bases = [onLayer(), null];
  await ledger.mayBuildOn(one, [onLayer()]);
  await ledger.mayBuildOn(one, bases);
  await ledger.mayBuildOn(other, [null]);
  await ledger.mayBuildOn(gone, [null]);
  await ledger.made(gone);
  await ledger.erase(gone, 1);
  await open();
  const next = await open();
  assert.deepEqual(
    [one, other, gone].map((id) => next.basesOf(id)),
    [bases, [null], undefined],
  );
});

test('a line that a crash cut off takes nothing back of what was noted before', async (t) => {
  const { open, ledger, file } = await ledgerOf(t);
  const [id, fresh] = [newOrderedId<LayerId>(), newOrderedId<LayerId>()];
  const base = onLayer();
  await ledger.mayBuildOn(id, [base]);
  appendFileSync(file, `= ${fresh} noth\n= ${id} layer:0193`);
  const next = await open();
  assert.deepEqual(next.basesOf(id), [base]);
  assert.equal(next.basesOf(fresh), undefined);
});

test('as large as this host made a layer it may be after every start, whatever a crash cut off, and no more when the layer is gone', async (t) => {
  const { open, ledger, file } = await ledgerOf(t);
  const [id, gone] = [newOrderedId<LayerId>(), newOrderedId<LayerId>()];
  await ledger.mayBecome(id, 1000);
  await ledger.mayBecome(id, 2000);
  await ledger.mayBecome(id, 500);
  await ledger.mayBecome(gone, 1000);
  await ledger.erase(gone, 1);
  appendFileSync(file, `~ ${id} 3`);
  await open();
  const next = await open();
  assert.deepEqual([next.sizeOf(id), next.sizeOf(gone)], [2000, undefined]);
});
