-- A task is its image's owner's, also after the image was given away.
alter table image_task drop column if exists project_id;
