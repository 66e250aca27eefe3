-- What the flavor of the server that a port is bound for lets through it: {"inbound": {"rate_kbit", "burst_kbit"}, "outbound": …}, each
-- way as the guest sees it; a way that is not named is free. Compute writes it with the binding.
alter table port add column card_limits jsonb not null default '{}';
