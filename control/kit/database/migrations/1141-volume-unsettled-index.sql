-- The few that are not as they shall be, for the sweep.
create index volume_unsettled on volume (id) where launched_at is null or desired_presence = 'absent' or desired_task is not null or fault is not null;
