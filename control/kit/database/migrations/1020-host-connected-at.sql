-- Since when the host's stream has been the present one. What was said of the ways to it before that, or while it was still starting, is not known to be so now.
-- Null: it has not connected since there is this column.
alter table host add column connected_at timestamptz;
