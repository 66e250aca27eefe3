/** What is mounted where, as the kernel says it (proc_pid_mountinfo(5)). Pure but for {@link readMounts}. */
import { readFile } from 'node:fs/promises';

/** Ends the name of a directory where something was mounted for a look alone. */
export const lookedAt = '.look';

export interface Mount {
  path: string;
  /** As it was named when it was mounted, such as /dev/sdb1; of a file, its loop device. */
  source: string;
}

export const readMounts = async (): Promise<Mount[]> => parseMounts(await readFile('/proc/self/mountinfo', 'utf8'));

/** In the order in which they were mounted: of two on one directory the last is seen. */
function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [mounted, described] = line.split(' - ');
    const path = mounted?.split(' ')[4];
    const source = described?.split(' ')[1];
    return path === undefined || source === undefined ? [] : [{ path: unescaped(path), source: unescaped(source) }];
  });
}

/** Space, tab, newline and backslash stand there as octal numbers of bytes; the rest is as it was given. */
const unescaped = (word: string): string =>
  word.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
