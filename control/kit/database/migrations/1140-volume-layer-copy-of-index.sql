-- What is still to be filled from elsewhere, by what it is copied of. By the column: how often an expression on JSON is null PostgreSQL does not know, and reads all layers.
drop index volume_layer_copy_of;
create index volume_layer_copy_of on volume_layer ((desired_source ->> 'copy_of')) where desired_source is not null;
