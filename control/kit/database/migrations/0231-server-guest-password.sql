-- What the guest posted as its password (as a rule sealed with its owner's key), and how often its owner has cleared that. A host reports
-- after how many clearings it was posted: one that was cleared does not come back by a late report.
alter table server
  add column guest_password text,
  add column guest_password_cleared bigint not null default 0;
