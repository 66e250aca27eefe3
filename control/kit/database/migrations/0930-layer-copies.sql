-- A layer may be a copy of one of another host: desired_source is {"copy_of": its id} until its host has said that it is there. Which are copies of a
-- layer is asked for its document, and before it goes.
create index volume_layer_copy_of on volume_layer ((desired_source ->> 'copy_of')) where desired_source ->> 'copy_of' is not null;
