-- What a host says of a volume's guest wakes the clones that wait for it: of all volumes only those are found by their source.
create index volume_waiting_source on volume (source_volume_id) where launched_at is null;
