-- Whether a backup is being restored into a layer, for what counts who holds it.
create index volume_restored_into on volume (((desired_task #>> '{into,layer_id}')::uuid)) where desired_task ->> 'kind' = 'restore';
