import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heldStill } from './save-disk.ts';

const nobody = '/nonexistent/agent.sock';

test('a guest that runs is not copied where its image demands file systems held still and nobody holds them', async () => {
  let copied = 0;
  const copy = async () => copied++;
  for (const agentSocket of [undefined, nobody])
    await assert.rejects(heldStill({ agentSocket, requireQuiesce: true }, copy), { code: 'not_quiesced' });
  assert.equal(copied, 0);
  await heldStill({ agentSocket: nobody, requireQuiesce: false }, copy);
  assert.equal(copied, 1);
});
