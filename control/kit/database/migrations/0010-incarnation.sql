-- One history of the database: what was read from it (resume tokens, hosts' desired states) means something in that history only.
-- A dump that was restored, a new database and one that went back to an earlier state are other incarnations.
alter table cloud
  add column incarnation uuid not null default gen_random_uuid(),
  -- The place of this very row, see control/kit/database/incarnation.ts: any other one is a copy.
  add column incarnation_place text not null default '',
  add column incarnation_reason text not null default '',
  add column incarnation_at timestamptz not null default now();
