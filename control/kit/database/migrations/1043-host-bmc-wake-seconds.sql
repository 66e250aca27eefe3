-- From the word to its BMC until the host was heard, the last time; null: it was never woken.
alter table host_bmc add column wake_seconds integer;
