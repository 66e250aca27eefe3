/**
 * One start at a time on a machine: two that prepare a cloud (or install packages) at once would stumble over each other.
 * The lock is on the directory /run/bothy and is held by a helper that reads from a pipe of ours, so it ends with this
 * process, whatever ends it, and with an execve too. Leaves no file.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { CommandError } from '../command.ts';
import { step } from '../terminal.ts';

const directory = '/run/bothy';
const patienceSeconds = 600;

export async function underMachineLock<T>(work: () => Promise<T>): Promise<T> {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const helper = spawn('flock', ['-w', String(patienceSeconds), directory, '/bin/sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    cwd: '/',
    detached: true,
  });
  helper.stdin.on('error', () => {});
  const held = new Promise<void>((resolve, reject) => {
    helper.stdout.once('data', () => resolve());
    helper.once('error', reject);
    helper.once('exit', () =>
      reject(new CommandError('another bothy has been at work on this machine for too long', "see 'bothy status'")),
    );
  });
  const quick = await Promise.race([held.then(() => true), new Promise<false>((r) => setTimeout(r, 250, false))]);
  if (!quick) await step('waiting for another bothy to finish', () => held);
  held.catch(() => {});
  try {
    return await work();
  } finally {
    helper.stdin.end();
    helper.unref();
  }
}
