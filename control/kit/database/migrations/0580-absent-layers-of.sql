-- What of a volume is to go and is still there (control/storage/volume/space.ts).
create index volume_layer_absent_of on volume_layer (volume_id) where desired_presence = 'absent';
