/**
 * Whether anybody has a file open, as the kernel knows it: it gives a lease only of a file that nobody has (fcntl(2), F_SETLEASE). So it sees
 * what /proc does not show: a file that is mapped, registered with io_uring, or under way in a socket. Node.js has no fcntl; perl-base is part
 * of every Debian. Owns nothing.
 */
import { execFile } from 'node:child_process';

export interface AskedFile {
  path: string;
  /** `write`: whether anybody may write to it; `any`: or read it. */
  open: 'write' | 'any';
}

/** `no` is the kernel's word; `unknown` where it gives none, as for a file of a network's file system, or one that is gone. */
export type OpenElsewhere = 'yes' | 'no' | 'unknown';

/** F_SETLEASE, with F_RDLCK or F_WRLCK. EAGAIN: somebody has it. */
const lease = `use Errno; my $all = 0;
while (my ($type, $path) = splice(@ARGV, 0, 2)) {
  my $file;
  next if open($file, "<", $path) && fcntl($file, 1024, $type + 0);
  exit 1 if $!{EAGAIN};
  $all = 2;
}
exit $all`;

/** Of files that nobody may open any more by their names, else the answer is of a moment ago. */
export function isOpenElsewhere(files: readonly AskedFile[]): Promise<OpenElsewhere> {
  const asked = files.flatMap(({ path, open }) => [open === 'write' ? '0' : '1', path]);
  const options = { timeout: 10_000, env: { PATH: '/usr/bin:/bin' }, cwd: '/' };
  return new Promise((resolve) => {
    execFile('perl', ['-e', lease, ...asked], options, (error) =>
      resolve(error === null ? 'no' : error.code === 1 ? 'yes' : 'unknown'),
    );
  });
}
