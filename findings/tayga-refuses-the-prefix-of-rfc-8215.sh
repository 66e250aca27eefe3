#!/bin/sh
# Debian 12's tayga (0.9.2-8) refuses 64:ff9b:1::/48, the prefix that RFC 8215 (2017) set aside for translators of a network's own, as reserved: of
# all addresses that begin with eight zero bits it knows 64:ff9b::/96 alone (RFC 6052). That one it refuses in its turn towards private IPv4 addresses.
# So a translator inside an organisation needs a prefix of the organisation's own; a unique local one is taken. Needs tayga and root (a namespace).
set -eu
if [ "${1:-}" != inside ]; then exec unshare -n -m sh "$0" inside; fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
dpkg-query -W tayga
for prefix in 64:ff9b:1::/96 64:ff9b:1:ffff::/96 fd64:ff9b:1::/96; do
  printf 'tun-device nat64\nipv4-addr 100.127.0.1\nprefix %s\ndynamic-pool 100.127.0.0/20\ndata-dir %s\n' "$prefix" "$dir" > "$dir/conf"
  # It serves until it is ended (124), where it takes its configuration.
  ended=0
  said=$(timeout 1 tayga -d --config "$dir/conf" 2>&1) || ended=$?
  if [ "$ended" -eq 124 ]; then echo "$prefix: served"; else echo "$prefix: refused, $(echo "$said" | grep -i -m 1 prefix)"; fi
done
