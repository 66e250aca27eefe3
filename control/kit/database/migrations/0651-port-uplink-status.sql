-- Whether a port's card shall lose its link with the network behind it. Kept and shown: no card of a guest here hangs on a link of its own.
alter table port add column propagate_uplink_status boolean not null default true;
