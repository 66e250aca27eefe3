import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DesiredLayer } from '../../contract/host/index.ts';
import { type LayerId, newId } from '../../contract/ids.ts';
import { HostFault } from '../host-error.ts';
import { Superseded } from '../step-loop.ts';
import type { LayerContext } from './context.ts';
import { type LayerOwner, LayerTask } from './task.ts';

test('work that finds gone what nobody wants any more has not failed', async () => {
  const id = newId<LayerId>();
  const desired = { id, presence: 'present' } as DesiredLayer;
  const owner = { desired: () => desired } as unknown as LayerOwner;
  const task = new LayerTask(id, {} as LayerContext, owner, async () => undefined);
  const missing = new HostFault('layer_not_ready', 'a part of its chain is not there');
  const unwanted = task.whileWanted(
    () => true,
    async () => {
      task.abandon();
      throw missing;
    },
  );
  await assert.rejects(unwanted, Superseded);
  const other = new LayerTask(id, {} as LayerContext, owner, async () => undefined);
  await assert.rejects(
    other.whileWanted(
      () => true,
      async () => {
        throw missing;
      },
    ),
    missing,
  );
});
