#!/bin/sh
# Debian 12's unbound (1.17.1-2+deb12u4) does not say SERVFAIL where a forwarder is silent: the client gets no answer at all. Its
# `discard-timeout`, 1900 ms since the fix of CVE-2024-33655, drops a reply that took longer, the failure too, and with the default number of tries
# a failure always takes longer. So a guest waits for its own time-out (5 s) for each name while the outside is away. With the
# option above the time of all tries it is told: resolvers 5302 and 5303 differ in that alone. Needs unbound, perl and root (a network namespace).
set -eu
if [ "${1:-}" != inside ]; then exec unshare -n -m sh "$0" inside; fi
dir=$(mktemp -d)
trap 'kill $(cat "$dir/pids") 2>/dev/null; rm -rf "$dir"' EXIT
ip link set lo up
# The silent forwarder.
perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalAddr => "127.0.0.9", LocalPort => 5399, Proto => "udp") or die; sleep 60' &
echo $! > "$dir/pids"
resolver() { # PORT LINES…
  port=$1; shift
  { printf 'server:\n  interface: 127.0.0.1@%s\n  do-daemonize: no\n  username: ""\n  chroot: ""\n  pidfile: ""\n  use-syslog: no\n' "$port"
    printf '  module-config: "iterator"\n  do-not-query-localhost: no\n'
    for line in "$@"; do printf '  %s\n' "$line"; done
    printf 'forward-zone:\n  name: "."\n  forward-addr: 127.0.0.9@5399\n'; } > "$dir/$port.conf"
  unbound -d -c "$dir/$port.conf" 2> "$dir/$port.log" &
  echo $! >> "$dir/pids"
}
resolver 5301
resolver 5302 'outbound-msg-retry: 2'
resolver 5303 'outbound-msg-retry: 2' 'discard-timeout: 20000'
resolver 5304 'outbound-msg-retry: 1' 'unknown-server-time-limit: 800' 'discard-timeout: 20000'
sleep 1
for port in 5301 5302 5303 5304; do
  perl -MIO::Socket::INET -MTime::HiRes=time -e '
    $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => shift, Proto => "udp") or die;
    $start = time;
    $s->send(pack("n6", 1, 0x100, 1, 0, 0, 0) . "\3www\7example\3org\0" . pack("nn", 1, 1));
    local $SIG{ALRM} = sub { printf "no answer in %d s\n", time - $start; exit }; alarm 15;
    $s->recv($answer, 512); printf "rcode %d after %.1f s\n", ord(substr($answer, 3, 1)) & 15, time - $start' "$port" | sed "s/^/resolver $port: /"
done
