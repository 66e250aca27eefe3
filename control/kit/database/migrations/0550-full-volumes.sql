-- A guest stands still while there is no room for what it writes to a volume; its host says of which. It is seen, and in no document.
alter table volume_attachment add column if not exists observed_full boolean not null default false;
drop trigger if exists volume_attachment_change on volume_attachment;
create trigger volume_attachment_change after insert or update or delete on volume_attachment
  for each row execute function append_change('volume_attachment', 'id', '=observed_state', '=observed_layer_id',
    '=observed_size_bytes', '=observed_full', '=attached_at');
