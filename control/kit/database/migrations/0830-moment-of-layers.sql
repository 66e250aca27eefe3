-- Layers that come on their volumes in one moment: all that say the same, as far as one guest has them. Null: in one of its own.
alter table volume_layer add column moment uuid;
