-- What a host keeps of its documents is bounded (control/host/quarantine.ts): nothing but its own word makes these rows, and all of them are read at once.
alter table quarantined_server add column bytes bigint not null default 0; -- of the document, as the host told it
alter table quarantined_layer add column bytes bigint not null default 0;
