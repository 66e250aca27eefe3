/**
 * A headless Chromium (Debian's), driven by its DevTools protocol over a pipe. Owns the process and a folder for its profile; both go
 * with it. Tests only.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const program = '/usr/bin/chromium';
export const noBrowser = existsSync(program) ? undefined : 'needs chromium';

type Fields = Record<string, unknown>;

export class Browser implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, { resolve(result: Fields): void; reject(error: Error): void }>();
  #session: string | undefined;
  #last = 0;
  /** What failed in pages, and what their policy kept out. */
  readonly failed: string[] = [];

  private constructor() {
    this.#profile = mkdtempSync(join(tmpdir(), 'bothy-browser-'));
    const args = [
      ...['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
      // The cloud's own authority is none of the browser's.
      ...['--ignore-certificate-errors', '--remote-debugging-pipe', '--window-size=1000,700'],
      `--user-data-dir=${this.#profile}`,
    ];
    this.#process = spawn(program, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    let text = '';
    (this.#process.stdio[4] as Readable).setEncoding('utf8').on('data', (chunk: string) => {
      const messages = (text + chunk).split('\0');
      text = messages.pop()!;
      for (const message of messages) this.#received(JSON.parse(message));
    });
    this.#process.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the browser ended'));
    });
    (this.#process.stdio[3] as Writable).on('error', () => {});
  }

  /** With an empty page. */
  static async start(): Promise<Browser> {
    const browser = new Browser();
    const { targetId } = await browser.tell('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await browser.tell('Target.attachToTarget', { targetId, flatten: true });
    browser.#session = sessionId as string;
    for (const domain of ['Page', 'Runtime', 'Log']) await browser.tell(`${domain}.enable`);
    return browser;
  }

  tell(method: string, params: Fields = {}): Promise<Fields> {
    const id = ++this.#last;
    const message = { id, method, params, ...(this.#session && { sessionId: this.#session }) };
    (this.#process.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  open(url: string): Promise<Fields> {
    return this.tell('Page.navigate', { url });
  }

  /** The value of an expression in the page. */
  async see<T>(expression: string): Promise<T> {
    const { result } = await this.tell('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
    return (result as { value: T }).value;
  }

  async type(text: string): Promise<void> {
    for (const key of text) {
      const code = /[a-z]/.test(key) ? `Key${key.toUpperCase()}` : /\d/.test(key) ? `Digit${key}` : 'Space';
      const fields = { key, code, windowsVirtualKeyCode: key.toUpperCase().charCodeAt(0) };
      await this.tell('Input.dispatchKeyEvent', { type: 'keyDown', text: key, ...fields });
      await this.tell('Input.dispatchKeyEvent', { type: 'keyUp', ...fields });
    }
  }

  /** A PNG. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.tell('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(data as string, 'base64');
  }

  #received({ id, result, error, method, params }: Fields): void {
    if (typeof id === 'number') {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new Error(JSON.stringify(error)));
      else waiting?.resolve(result as Fields);
    } else if (method === 'Runtime.exceptionThrown' || levelOf(params) === 'error')
      this.failed.push(JSON.stringify(params));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    if (this.#process.exitCode === null && this.#process.signalCode === null) await ended;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

const levelOf = (params: unknown) => (params as { entry?: { level?: string } } | undefined)?.entry?.level;
