-- Snapshots in the making, for the sweep and for what a host says of their volumes.
create index volume_snapshot_unready on volume_snapshot (volume_id) where ready_at is null;
