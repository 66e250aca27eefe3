/** The whole control process against bytes that mean no good. An exception that leaves a handler fails this process, too. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Random } from '../support/random.ts';
import { exchange, type RawAnswer } from '../support/raw-http.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { effort } from './effort.ts';
import { rawKinds, rawRequest } from './raw-requests.ts';

const { seed, full } = effort();
const rounds = full ? 400 : 12;
const budgetMs = full ? 90_000 : 20_000;
/** A request that waits longer beside the others has been starved. */
const lifeMs = 3000;

/** How each dialect says no. */
const forms: Record<string, (body: Record<string, Record<string, unknown>>) => unknown> = {
  identity: (body) => body.error?.code,
  compute: (body) => Object.values(body)[0]?.code,
  volume: (body) => Object.values(body)[0]?.code,
  network: (body) => body.NeutronError?.message,
  native: (body) => body.error?.code,
};

function checkForm(dialect: string, answer: RawAnswer, what: string): void {
  if (answer.status < 400) return;
  if (dialect === 'image') assert.ok(answer.body.includes(String(answer.status)), what);
  else assert.ok(forms[dialect]!(JSON.parse(answer.body)), `${what} in ${dialect}'s form: ${answer.body}`);
}

test(`no bytes on the API's port end, block or confuse the process (seed ${seed})`, { timeout: 115_000 }, async () => {
  await using cloud = await SimulatedCloud.start();
  const ca = readFileSync(cloud.identity.ca, 'utf8');
  const { port } = cloud;
  const random = new Random(seed);
  const alive = async () => {
    const asked = performance.now();
    const { answers } = await exchange(['GET /identity/v3 HTTP/1.1\r\nhost: api\r\n\r\n'], { port, ca });
    assert.equal(answers[0]?.status, 200, `control still serves (seed ${seed})`);
    assert.ok(performance.now() - asked < lifeMs, `control serves in time (seed ${seed})`);
  };
  const deadline = performance.now() + budgetMs;
  for (let round = 0; round < rounds && performance.now() < deadline; round++) {
    const requests = rawKinds.map((kind) => rawRequest(kind, random));
    const all = requests.map(async ({ kind, pieces, options, dialect }) => {
      // Whoever says nothing more is listened to for a moment only; the server may rightly wait longer.
      const { answers } = await exchange(pieces, { port, ca, patienceMs: dialect ? 10_000 : 300, ...options });
      const what = `${kind} (seed ${seed}): ${JSON.stringify(String(pieces[0]).slice(0, 300))}`;
      for (const { status, body } of answers) assert.ok(status < 500 || status === 505, `${what}: ${status} ${body}`);
      if (!dialect) return;
      assert.equal(answers.length, 1, `${what} is answered`);
      checkForm(dialect, answers[0]!, what);
    });
    await Promise.all([...all, alive()]);
  }
  await alive();
  await cloud.until('the host to be connected still', async () => (await cloud.connectedHosts()) === 1);
});
