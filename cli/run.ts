/** Short-lived programs: run one, get what it said, or an error that says what it said. */
import { spawn } from 'node:child_process';

export interface RunOptions {
  input?: string;
  env?: Record<string, string>;
  uid?: number;
  gid?: number;
  cwd?: string;
  timeoutMs?: number;
  /** Sees output as it comes, both streams. */
  onOutput?: (text: string) => void;
}

export interface RunResult {
  code: number;
  stdout: string;
  stderr: string;
}

const keptBytes = 1024 * 1024;

/** Runs a program and answers however it ended; throws only where it could not be started. */
export function tryRun(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C.UTF-8', ...options.env },
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs, killSignal: 'SIGKILL' as const }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout = (stdout + text).slice(-keptBytes);
      options.onOutput?.(text);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-keptBytes);
      options.onOutput?.(text);
    });
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'ENOENT' ? new Error(`the program '${command}' is not installed`, { cause: error }) : error,
      );
    });
    child.once('close', (code, signal) => {
      const late =
        signal === 'SIGKILL' && options.timeoutMs !== undefined ? ` (deadline of ${options.timeoutMs} ms)` : '';
      resolve({ code: code ?? 128, stdout, stderr: signal === null ? stderr : `${stderr}\nended by ${signal}${late}` });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

/** Runs a program that must succeed; answers its standard output. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await tryRun(command, args, options);
  if (result.code !== 0) {
    const said = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-12).join('\n');
    throw new Error(`${command} ${args.slice(0, 3).join(' ')} ended with ${result.code}: ${said}`);
  }
  return result.stdout;
}
