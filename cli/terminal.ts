/**
 * What people see: steps with their times, a line that rewrites itself while a step goes on (only on a terminal), and
 * colours where they help (never in a pipe, nor with NO_COLOR).
 */
const tty = process.stdout.isTTY === true;
const colours = tty && process.env.NO_COLOR === undefined;

const paint = (code: string) => (text: string) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
export const green = paint('32');
export const red = paint('31');
export const yellow = paint('33');
export const bold = paint('1');
export const faint = paint('2');

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

export const seconds = (ms: number): string => (ms < 100 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`);

export interface Progress {
  /** What the step is doing now. On a terminal it replaces the line before. */
  detail(text: string): void;
}

function rewrite(text: string): void {
  const width = process.stdout.columns ?? 100;
  process.stdout.write(`\r\u001b[K${text.slice(0, width - 1)}`);
}

/**
 * One step of a longer work: prints its name, what it is doing meanwhile, and how long it took. `work` may answer a text
 * that is shown behind the name.
 */
export async function step<T>(
  name: string,
  work: (progress: Progress) => Promise<T>,
  result?: (value: T) => string,
): Promise<T> {
  const started = performance.now();
  let lastDetailAt = started;
  let lastDetail = '';
  const label = name.padEnd(34);
  if (tty) rewrite(`  ${label}`);
  const progress: Progress = {
    detail(text) {
      const line = text.replace(/\s+/g, ' ').trim();
      if (tty) rewrite(`  ${label} ${faint(line)}`);
      else if (line !== lastDetail && performance.now() - lastDetailAt > 5_000) {
        // In a log, a line now and then shows that the work goes on.
        say(`  ${label} … ${line}`);
        lastDetailAt = performance.now();
      }
      lastDetail = line;
    },
  };
  try {
    const value = await work(progress);
    const outcome = result?.(value) ?? '';
    finish(
      `${green('✓')} ${label} ${seconds(performance.now() - started).padStart(7)}${outcome === '' ? '' : `  ${outcome}`}`,
    );
    return value;
  } catch (error) {
    finish(`${red('✗')} ${label} ${seconds(performance.now() - started).padStart(7)}`);
    throw error;
  }
}

/** Begins the work at once; what is answered is the step that waits for its end, and shows from then on what it is doing. */
export function inBackground<T>(work: (progress: Progress) => Promise<T>): (progress: Progress) => Promise<T> {
  let shown: Progress | undefined;
  const working = work({ detail: (text) => shown?.detail(text) });
  // Whoever never comes to wait has failed before.
  working.catch(() => {});
  return (progress) => {
    shown = progress;
    return working;
  };
}

function finish(line: string): void {
  if (tty) process.stdout.write('\r\u001b[K');
  say(line);
}

/** Rows of equal columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => [...(row[column] ?? '')].length))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell + ' '.repeat(widths[i]! - [...cell].length))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
