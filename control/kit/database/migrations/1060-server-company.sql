-- Servers on whose host this one shall be, and those on whose host it shall not be: what its owner asked for when it was made. Null: nobody's. Their ids stay when they go.
alter table server
  add column same_host uuid[] check (cardinality(same_host) > 0),
  add column different_host uuid[] check (cardinality(different_host) > 0);
