#!/bin/bash
# A private Ceph cluster of one machine in directory $1, by hand: no systemd, no ceph-volume. For private-ceph.ts.
set -e
D=$1; STORE=bluestore; mkdir -p $D/{mon.a,mgr.x,run,log}
export CEPH_CONF=$D/ceph.conf
FSID=$(cat /proc/sys/kernel/random/uuid)
cat > $D/ceph.conf <<C
[global]
fsid = $FSID
mon host = [v2:127.0.0.1:13300,v1:127.0.0.1:16789]
mon initial members = a
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = $D/keyring
run dir = $D/run
admin socket = $D/run/\$name.\$pid.asok
pid file = $D/run/\$name.pid
log file = $D/log/\$name.log
crash dir = $D/crash
osd pool default size = 3
osd pool default min size = 2
osd pool default pg num = 32
osd pool default pgp num = 32
osd crush chooseleaf type = 0
mon allow pool delete = true
mon pg warn min per osd = 0
mon data avail warn = 2
mon data avail crit = 1
mon cluster log file = $D/log/cluster.log
auth allow insecure global id reclaim = false
osd heartbeat grace = 8
osd heartbeat interval = 2
mon osd min down reporters = 1
mon osd adjust heartbeat grace = false
[mon]
mon data = $D/mon.a
rocksdb cache size = 33554432
[mgr]
mgr data = $D/mgr.x
mgr initial modules =
mgr module path = /usr/share/ceph/mgr
[osd]
osd data = $D/osd.\$id
osd objectstore = $STORE
bluestore block create = true
bluestore block size = 6442450944
bluestore fsck quick fix on mount = false
bluestore cache autotune = false
bluestore cache size = 134217728
osd memory target = 939524096
osd max object name len = 256
memstore device bytes = 4294967296
osd op num shards = 2
osd op num threads per shard = 1
osd crush update on start = false
C
ceph-authtool --create-keyring $D/keyring --gen-key -n mon. --cap mon 'allow *' >/dev/null
ceph-authtool $D/keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mds 'allow *' --cap mgr 'allow *'
monmaptool --create --addv a '[v2:127.0.0.1:13300,v1:127.0.0.1:16789]' --fsid $FSID $D/monmap >/dev/null
ceph-mon --mkfs -i a --monmap $D/monmap --keyring $D/keyring
cp $D/keyring $D/mon.a/keyring
ceph-mon -i a
ceph --connect-timeout 20 config set mon auth_allow_insecure_global_id_reclaim false
ceph auth get-or-create mgr.x mon 'allow profile mgr' osd 'allow *' mds 'allow *' -o $D/mgr.x/keyring
ceph-mgr -i x --keyring $D/mgr.x/keyring
for i in 0 1 2; do
  mkdir -p $D/osd.$i; U=$(cat /proc/sys/kernel/random/uuid); S=$(ceph-authtool --gen-print-key)
  echo "{\"cephx_secret\": \"$S\"}" | ceph osd new $U $i -i - >/dev/null
  ceph-authtool --create-keyring $D/osd.$i/keyring -n osd.$i --add-key $S --cap mon 'allow profile osd' --cap mgr 'allow profile osd' --cap osd 'allow *' >/dev/null
  ceph-osd -i $i --mkfs --osd-uuid $U --keyring $D/osd.$i/keyring >/dev/null 2>&1
  ceph osd crush add osd.$i 1.0 root=default host=h$i 2>/dev/null
  ceph-osd -i $i --keyring $D/osd.$i/keyring
done
ceph osd pool create vols 32 >/dev/null
ceph osd pool application enable vols rbd 
rbd pool init vols
rbd namespace create vols/rack-1
ceph auth get-or-create client.bothy mon 'profile rbd' mgr 'profile rbd pool=vols namespace=rack-1' osd 'profile rbd pool=vols namespace=rack-1' -o $D/bothy.keyring
