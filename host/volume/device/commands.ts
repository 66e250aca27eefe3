/** The programs of util-linux and e2fsprogs that know devices and file systems; their words come as the cause. Owns nothing. */
import { execFile } from 'node:child_process';

const secondsAtMost = 120;

export interface Said {
  status: number;
  out: string;
  /** What it complained of, in one line. */
  complaint: string;
}

/** @throws where it could not be run, or did not end in time */
export function say(command: string, args: readonly string[]): Promise<Said> {
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' };
  return new Promise((resolve, reject) => {
    execFile(command, args, { env, cwd: '/', timeout: secondsAtMost * 1000 }, (error, out, complaints) => {
      const status = error ? error.code : 0;
      if (typeof status !== 'number') reject(error);
      else resolve({ status, out, complaint: complaints.trim().split('\n').at(0)?.slice(0, 200) ?? '' });
    });
  });
}

/** @throws with what it complained of, where it ended with another status than 0 */
export async function order(command: string, ...args: string[]): Promise<string> {
  const { status, out, complaint } = await say(command, args);
  if (status !== 0) throw new Error(`${command}: ${complaint === '' ? `status ${status}` : complaint}`);
  return out;
}
