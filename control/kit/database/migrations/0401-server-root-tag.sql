-- What the guest is told beside the disk that it boots from, where that is its host's; those of its other disks are in local_disks.
alter table server add column root_tag text;
