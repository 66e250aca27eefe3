-- What came of the last move of a volume to another pool (control/storage/volume/move.ts); null: it never moved, or is on its way.
alter table volume add column move_outcome text check (move_outcome in ('success', 'error'));
