-- When the host's process ended in order, by its own word on its stream: it is stopped on purpose (an upgrade, a reboot), and that it is silent since then is no reason to turn its machine off.
-- Null: it is connected, was heard since, or ended without a word.
alter table host add column left_at timestamptz;
