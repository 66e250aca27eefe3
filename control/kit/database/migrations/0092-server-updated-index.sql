-- What changed since, without a look at what did not.
create index server_updated on server (updated_at);
