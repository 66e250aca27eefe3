/** Only a death that the kernel confirms hands an identity on. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { leaseHolder } from './lease-holder.ts';

const directory = mkdtempSync(join(tmpdir(), 'holder-'));
const file = join(directory, 'lease-holder.json');
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(file, { force: true });
});
after(() => rmSync(directory, { recursive: true }));

/** A process that takes an identity and lives on. */
async function live(): Promise<{ holder: string; die(): Promise<void>; freeze(): void }> {
  const code = `import { leaseHolder } from '${import.meta.resolve('./lease-holder.ts')}';
    console.log(leaseHolder(${JSON.stringify(file)}));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = await once(child.stdout!, 'data');
  return {
    holder: String(line).trim(),
    async die() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
    freeze: () => child.kill('SIGSTOP'),
  };
}

const noted = () => JSON.parse(readFileSync(file, 'utf8'));
const changed = (change: object) => writeFileSync(file, JSON.stringify({ ...noted(), ...change }));

test('a process takes up the identity of the dead one before it; beside a living or frozen one it has its own', async () => {
  const first = await live();
  const second = await live();
  assert.notEqual(second.holder, first.holder);
  second.freeze();
  const third = await live();
  assert.notEqual(third.holder, second.holder);
  await third.die();
  const fourth = await live();
  assert.equal(fourth.holder, third.holder);
  await fourth.die();
  assert.equal(leaseHolder(file), third.holder);
});

test('a pid that is another process’s by now is no sign of life', async () => {
  const holder = leaseHolder(file);
  assert.notEqual(leaseHolder(file), holder, 'this process lives');
  const { holder: present, started } = noted();
  changed({ started: started - 1 });
  assert.equal(leaseHolder(file), present);
});

test('what another boot or another pid namespace wrote, or nobody, proves nothing', async () => {
  const dead = await live();
  await dead.die();
  for (const change of [{ boot: 'x' }, { namespace: 'pid:[1]' }, { holder: "'; drop" }, { pid: 0 }, { pid: -1 }]) {
    const { holder } = noted();
    changed({ ...change, ...('pid' in change ? {} : { pid: 2 ** 22 + 1 }) });
    assert.notEqual(leaseHolder(file), holder, JSON.stringify(change));
  }
  for (const text of ['', 'null', '[]', '{"holder":7}', '\0']) {
    writeFileSync(file, text);
    assert.match(leaseHolder(file), /^[0-9a-f-]{36}$/);
  }
});
