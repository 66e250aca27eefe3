-- Its gateway answers neighbour solicitations for guests that have an NDP proxy.
alter table router add column if not exists ndp_proxy boolean not null default false;
