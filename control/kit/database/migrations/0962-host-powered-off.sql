-- Since when the host is known to be without power: its BMC has said so. Null: it was heard since. What it was lent before it has forgotten, so it is not lent that again.
alter table host add column powered_off_at timestamptz;
