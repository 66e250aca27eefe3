-- Guests of IPv6 alone reach IPv4 through a router with it: an engine on a gateway's host translates.
alter table router add column nat64 boolean not null default false;
-- Ports name their routers in text: what resolvers answer is asked from a network's ports on.
create index router_nat64 on router ((id::text)) where nat64;
