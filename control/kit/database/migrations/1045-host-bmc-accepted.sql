-- An administrator's word that the machine behind the BMC is the host, where one of both tells no UUID of its own: who said it, when, and which system with which label that was. Another system, or another
-- label, is not meant by it; another address or certificate ends it.
alter table host_bmc add column accepted jsonb;
