-- The epoch as a key: a gain, which changes it, waits for transactions that were fenced under the one before (FOR KEY SHARE), and a
-- renewal, which does not, goes on beside them.
create unique index lease_epoch on lease (role, epoch);
