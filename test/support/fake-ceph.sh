#!/bin/sh
# The program ceph as far as host/volume/rbd asks it: how full the cluster is.
echo '{"pools":[{"name":"vols","stats":{"stored":0,"max_avail":1099511627776}}]}'
