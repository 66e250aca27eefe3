#!/bin/sh
# Debian 12's ipmitool (1.8.19) asks a BMC before each session which cipher suites it has, unless it is told one (-C), and waits for an answer again and again. OpenIPMI's simulator (2.0.33) answers nothing to a question
# in that form (RMCP+ without a session), so a call that takes a tenth of a second with -C 3 takes many seconds without; a BMC that does the same is late for everybody. Needs ipmi_sim and ipmitool (Debian: openipmi, ipmitool).
set -eu
dir=$(mktemp -d)
port=9624
mkdir "$dir/state"
cat > "$dir/lan.conf" <<END
name "finding"
set_working_mc 0x20
startlan 1
addr 127.0.0.1 $port
priv_limit admin
allowed_auths_admin none md2 md5 straight
guid 44454c4c420010358051b4c04f4e3732
endlan
user 2 true "finder" "keeper" admin 10 none md2 md5 straight
END
printf 'mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n' > "$dir/commands"
sleep 120 | ipmi_sim -c "$dir/lan.conf" -f "$dir/commands" -s "$dir/state" -n > "$dir/log" 2>&1 &
trap 'kill $! 2> /dev/null || true; rm -rf "$dir"' EXIT
sleep 1
dpkg-query -W ipmitool openipmi
export IPMITOOL_PASSWORD=keeper
for suite in "-C 3" ""; do
  began=$(date +%s%N)
  said=$(timeout 60 ipmitool -I lanplus -H 127.0.0.1 -p $port -U finder -E $suite raw 0x06 0x37 2>&1 | tail -n 1) || true
  echo "${suite:-no suite}: $((($(date +%s%N) - began) / 1000000)) ms, $said"
done
