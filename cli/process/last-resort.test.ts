import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import pino from 'pino';
import { surviveDefects } from './last-resort.ts';

test('an exception that escaped is logged, counted and told to doctor, as long as the last resort is there', () => {
  const emitter = new EventEmitter();
  {
    using defects = surviveDefects(pino({ level: 'silent' }), emitter);
    assert.equal(defects.health(), undefined);
    emitter.emit('uncaughtException', new Error('first'), 'uncaughtException');
    emitter.emit('uncaughtException', 'no error at all', 'unhandledRejection');
    const { ok, detail } = defects.health()!;
    assert.equal(ok, false);
    assert.match(detail, /^2 exceptions .* the last: no error at all$/);
  }
  assert.equal(emitter.listenerCount('uncaughtException'), 0);
});

test('a process goes on after an exception in a timer, a rejection nobody awaits and an error nobody listens for', () => {
  const module = fileURLToPath(new URL('./last-resort.ts', import.meta.url));
  const script = `
    import { EventEmitter } from 'node:events';
    import { surviveDefects } from ${JSON.stringify(module)};
    const defects = surviveDefects({ error() { throw new Error('the log fails too'); } });
    setTimeout(() => { throw new Error('timer'); });
    setTimeout(() => Promise.reject(new Error('rejection')), 1);
    setTimeout(() => new EventEmitter().emit('error', new Error('emitter')), 2);
    const look = setInterval(() => {
      if (!defects.health()?.detail.startsWith('3 ')) return;
      clearInterval(look);
      console.log('lives');
    }, 1);`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 20_000 });
  assert.equal(String(output), 'lives\n');
});
