/** Reading the processes' logs: every process has its own output file, and OVS and OVN write one more themselves. */
import { closeSync, openSync, readSync, statSync, watch } from 'node:fs';
import { lastLines, logFiles } from './supervisor/log-file.ts';

/** The last lines of all files of a process, oldest file first. */
export function collectLines(logDirectory: string, name: string, count: number): string[] {
  return logFiles(logDirectory)
    .filter((entry) => entry.name === name)
    .flatMap(({ file }) => lastLines(file, count))
    .filter((line) => line !== '')
    .slice(-count);
}

/** Calls back for each line that is appended from now on; survives that the file is cut (rotation). */
export function followFile(file: string, onLine: (line: string) => void): void {
  let position = statSync(file).size;
  let pending = '';
  const look = () => {
    let size: number;
    try {
      size = statSync(file).size;
    } catch {
      return;
    }
    if (size < position) position = 0;
    if (size === position) return;
    const descriptor = openSync(file, 'r');
    try {
      const bytes = Buffer.alloc(size - position);
      position += readSync(descriptor, bytes, 0, bytes.length, position);
      const lines = (pending + bytes.toString('utf8')).split('\n');
      pending = lines.pop() ?? '';
      for (const line of lines) onLine(line);
    } finally {
      closeSync(descriptor);
    }
  };
  watch(file, look);
}

const levels: Record<string, string> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' };

/** A JSON log line as people read it: time, level, message, then the fields. Other lines stay as they are. */
export function prettyLine(line: string): string {
  if (!line.startsWith('{')) return line;
  try {
    const { time, level, msg, message, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const at = new Date(time as string | number).toISOString().slice(11, 23);
    const facts = Object.entries(fields)
      .filter(([key]) => !['pid', 'hostname', 'process'].includes(key))
      .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
    const text = `${at} ${(levels[String(level)] ?? String(level)).padEnd(5)} ${msg ?? message ?? ''} ${facts.join(' ')}`;
    return printable(text.trimEnd());
  } catch {
    return line;
  }
}

/** Texts of tenants are in logs; none of them may steer the terminal or look like a line of its own. */
const printable = (text: string): string =>
  text.replace(/\p{Cc}/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
