-- A project lists its attachments.
create index volume_attachment_project on volume_attachment (project_id);
