-- Where of the hosts that take it a server goes: the emptiest, or the fullest. Asked for when it is made; else what the cloud's setting says then.
alter table server add column placement_policy text not null default 'spread' check (placement_policy in ('spread', 'pack'));
