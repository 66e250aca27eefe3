-- An administrator may say of an image that it belongs to anybody, as in Glance: whoever is no project of this cloud is a text. Such an image
-- counts against nobody's quota, keeps no project, and is seen only as its visibility says.
alter table image
  alter column project_id drop not null,
  add column foreign_owner text,
  add constraint image_owner check ((project_id is null) <> (foreign_owner is null));
create index image_foreign_owner on image (foreign_owner) where foreign_owner is not null;
