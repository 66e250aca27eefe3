-- Who closed a host to new servers, or said that it is down, and when: a refusal names them. Null: nobody that is known, or the word was taken back.
alter table host
  add column disabled_by jsonb,
  add column forced_down_by jsonb;
