/**
 * Where a volume is given to a machine outside: a jail of two programs, a storage daemon that reads the volume's files, which a guest may have
 * written, and tgtd, to which anybody in the network may speak. Between them is a file that the daemon serves by FUSE. Pure: the
 * commands only.
 *
 * The jail has a user of its own, as a guest has, and a user namespace of its own, in which the mount of the file is all that root can
 * do. Its root directory has the programs of /usr and the volume's files, under names that say nothing. The daemon has no network.
 * The jail ends whole as soon as one of the two ends, and where it is never told whom to let in: when this process dies first, too.
 */
import type { GuestUser } from '../../guest/users.ts';
import type { LayerChain } from '../chain.ts';

/** In the jail. */
export const jailPaths = { disk: '/run/disk', qmp: '/run/qmp.sock' } as const;

/** As root, in namespaces of mounts, processes, names and shared memory. What it takes: uid, run directory, files as `placesOf` says them, `--`, command. */
const outer = `set -e
uid=$1; run=$2; shift 2
mount -t tmpfs -o size=64k,mode=755,nosuid none /mnt
cd /mnt
mkdir usr dev run proc old volume
for name in bin lib lib32 lib64 sbin; do [ ! -e "/$name" ] || ln -s "usr/$name" "$name"; done
mount --bind /usr usr
mount -o remount,bind,ro,nosuid,nodev usr
for device in null zero urandom; do : > "dev/$device"; mount --bind "/dev/$device" "dev/$device"; done
mknod -m 600 dev/fuse c 10 229
chown "$uid" dev/fuse
mount --bind "$run" run
mount -o remount,bind,noexec,nosuid,nodev run
mount -t proc -o nosuid,nodev,noexec proc proc
while [ "$1" != -- ]; do
  : > "volume/$3"
  mount --bind "$2" "volume/$3"
  [ "$1" = write ] || mount -o remount,bind,ro,noexec,nosuid,nodev "volume/$3"
  shift 3
done
shift
pivot_root . old
umount -l /old
rmdir /old
mount -o remount,ro /
exec "$@"`;

/**
 * As root of the jail alone, its first process. On its standard input: a line when the file is served, then whom to let in. tgtd
 * takes orders from root of its own namespace only, and a secret on tgtadm's command line would be anybody's to read: so perl, which every
 * Debian has, tells it (usr/tgtadm.h of tgt 1.0.85). What they say is bounded: anybody in the network makes tgtd speak.
 */
const inner = `trap 'exit 1' TERM
bounded() { head -c 65536 >&2; cat >/dev/null; }
: > ${jailPaths.disk}
(unshare --net qemu-storage-daemon --chardev socket,id=m,path=${jailPaths.qmp},server=on,wait=off --monitor chardev=m </dev/null 2>&1 | bounded; kill -TERM 1) &
read -r line || exit 1
(TGT_IPC_SOCKET=/run/tgtd tgtd -f -C 0 --iscsi portal="$1" </dev/null 2>&1 | bounded; kill -TERM 1) &
perl -e "$2" || exit 1
exec </dev/null >/dev/null
wait`;

/** Tells tgtd on its socket. What it reads, a line each: name of the target, serial number, read-only (0, 1), initiator, user, secret. */
const letIn = `use strict; use Socket;
sub order {
  my ($mode, $operation, $lun, $parameters) = @_;
  my $socket;
  for (my $tries = 0; ; $tries++) {
    socket($socket, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
    last if connect($socket, sockaddr_un("/run/tgtd.0"));
    die "tgtd does not listen: $!" if $tries == 200;
    select(undef, undef, undef, 0.05);
  }
  my $text = "$parameters\\0";
  my $message = pack("LLa64LlQQLLLLLL", $mode, $operation, "iscsi", 120 + length $text, 1, 0, $lun, 0, 0, 0, 0, 0, 0) . $text;
  syswrite($socket, $message) == length $message or die "tgtd takes no order";
  my $answer = "";
  while (length $answer < 8) { sysread($socket, $answer, 8 - length $answer, length $answer) or die "tgtd ended"; }
  my ($error) = unpack("L", $answer);
  die "tgtd refuses order $mode.$operation: $error" if $error;
}
chomp(my @lines = <STDIN>);
my ($target, $serial, $readonly, $initiator, $user, $secret) = @lines;
die "nobody said whom to let in" unless defined $secret && $secret ne "";
order(1, 0, 0, "targetname=$target");
order(2, 0, 1, "path=${jailPaths.disk},bstype=rdwr");
order(2, 5, 1, "scsi_sn=$serial,vendor_id=BOTHY,product_id=volume,thin_provisioning=1,readonly=$readonly");
order(7, 0, 0, "user=$user,password=$secret");
order(7, 3, 0, "user=$user");
order(1, 3, 0, "initiator-name=$initiator");
$| = 1;
print "ready\\n";`;

/** Each file of the chain, with its name in the jail. */
export function placesOf({ top, lower, base }: LayerChain): Map<string, string> {
  const files = [top.path, ...lower.map(({ path }) => path), ...(base ? [base.path] : [])];
  return new Map(files.map((path, index) => [path, String(index)]));
}

export interface JailOptions {
  user: GuestUser;
  runDirectory: string;
  chain: LayerChain;
  readOnly: boolean;
  /** address:port */
  portal: string;
}

/** Program and arguments. */
export function jailCommand({ user, runDirectory, chain, readOnly, portal }: JailOptions): [string, string[]] {
  const files = [...placesOf(chain)].flatMap(([path, name]) => {
    return [path === chain.top.path && !readOnly ? 'write' : 'read', path, name];
  });
  const namespaces = ['--mount', '--propagation=private', '--ipc', '--uts', '--pid', '--fork', '--kill-child'];
  const groups = user.groups.length > 0 ? `--groups=${user.groups.join(',')}` : '--clear-groups';
  const drop = [`--reuid=${user.uid}`, `--regid=${user.gid}`, groups, '--no-new-privs', '--inh-caps=-all'];
  const own = [
    'unshare',
    '--user',
    '--map-root-user',
    '--mount',
    '--',
    '/bin/sh',
    '-c',
    inner,
    'export',
    portal,
    letIn,
  ];
  const outside = ['/bin/sh', '-c', outer, 'export', String(user.uid), runDirectory, ...files, '--'];
  const limited = ['prlimit', '--core=0', '--nofile=1024', '--'];
  return [
    'unshare',
    [...namespaces, '--', ...outside, ...limited, 'setpriv', ...drop, '--bounding-set=-all', '--', ...own],
  ];
}

/** What it is told on its standard input when the file is served. */
export interface LetIn {
  iqn: string;
  serial: string;
  readOnly: boolean;
  initiator: string;
  user: string;
  secret: string;
}

/** No part may end its line: what control sends is held to its patterns, and a volume's id is one. */
export const letInLines = ({ iqn, serial, readOnly, initiator, user, secret }: LetIn): string =>
  ['served', iqn, serial, readOnly ? '1' : '0', initiator, user, secret].map((line) => `${line}\n`).join('');
