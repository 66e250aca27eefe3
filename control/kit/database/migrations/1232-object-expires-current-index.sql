-- Past versions whose time is over stay: who looks for objects that expire shall not come by them each time.
drop index object_expires;
create index object_expires on object (expires_at) where expires_at is not null and current;
