/**
 * One call of `ipmitool` (IPMI 2.0 by its `lanplus`: RMCP+ with a key for each session), a child that is bounded in time and in what it says. The password is in its environment, which only its own user and root may
 * read, never in its arguments. If this process dies, a call that is under way comes to its end by itself.
 *
 * Who answers proves first that they know the password, and what is said afterwards is signed (cipher suites 17 and 3 alone): nobody in between makes a machine look as if it were off.
 */
import { spawn } from 'node:child_process';
import type { Secret } from '../../contract/secret.ts';
import { BmcError } from '../bmc/index.ts';
import { failureOf, type Said } from './reading.ts';

export interface ToolOptions {
  host: string;
  port: number;
  user: string;
  /** At most {@link longestPassword} bytes. */
  password: Secret;
  /** For tests: another program than `ipmitool`. */
  program?: string | undefined;
}

/** IPMI 2.0, 22.28 and 22.30; in bytes. */
export const longestUser = 16;
export const longestPassword = 20;

/** IPMI 2.0, 22.15.2: HMAC-SHA256 and AES-128, or HMAC-SHA1 and AES-128, which each has to know. */
export type CipherSuite = 17 | 3;

const maxBytes = 65_536;

export interface CallOptions {
  timeoutMs: number;
  suite: CipherSuite;
  /** Of a call that ends with an error: it is one that is expected. Of several commands one that fails makes all fail, and the rest is done. */
  isDone?: ((said: Said) => boolean) | undefined;
}

/** @throws BmcError `not_installed`, `unreachable`, `denied`, `malformed`, and `refused` where it answers that it does not do that */
export function callTool(
  { host, port, user, password, program = 'ipmitool' }: ToolOptions,
  command: readonly string[],
  { timeoutMs, suite, isDone = () => false }: CallOptions,
): Promise<Said> {
  // Why a session is refused is said with -v alone. The user needs no more rights than an operator's.
  const session = ['-v', '-I', 'lanplus', '-H', host, '-p', String(port), '-U', user, '-E'];
  const terms = ['-L', 'OPERATOR', '-C', String(suite)];
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...session, ...terms, ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', IPMITOOL_PASSWORD: password.reveal() },
    });
    const said = { out: '', err: '' };
    let ended: BmcError | undefined;
    const end = (why: BmcError) => {
      ended ??= why;
      child.kill('SIGKILL');
      // Nothing more is taken, whoever may still hold the other ends.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const patience = setTimeout(() => end(new BmcError('unreachable', 'no answer in time')), Math.max(1, timeoutMs));
    for (const [name, stream] of [
      ['out', child.stdout],
      ['err', child.stderr],
    ] as const) {
      stream.setEncoding('latin1').on('data', (text: string) => {
        said[name] += text;
        if (said[name].length > maxBytes) end(new BmcError('malformed', `more than ${maxBytes} bytes were said`));
      });
    }
    child.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(patience);
      const missing = error.code === 'ENOENT';
      const why = missing ? `there is no ${program} on this machine` : `${program} can not be run: ${error.code}`;
      reject(new BmcError('not_installed', why, { cause: error }));
    });
    child.once('close', (status) => {
      clearTimeout(patience);
      if (ended) reject(ended);
      else if (status === 0 || isDone(said)) resolve(said);
      else reject(failureOf(said));
    });
  });
}
