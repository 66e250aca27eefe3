-- By what it was certain that the server's guest did not run any more where it was, when it was given to another host.
alter table server_migration add column evidence jsonb;
