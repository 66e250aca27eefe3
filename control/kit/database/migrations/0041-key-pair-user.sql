-- A key pair that is made while its user is deleted would belong to nobody, and to whom gets the id from elsewhere.
delete from key_pair where not exists (select from "user" u where u.id = key_pair.user_id);

alter table key_pair add constraint key_pair_user_id_fkey foreign key (user_id) references "user" (id) on delete cascade;
