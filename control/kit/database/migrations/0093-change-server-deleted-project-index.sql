-- Servers of a project that are gone, without a look at those of all others.
create index change_server_deleted_project on change (project_id, at) where resource_type = 'server' and action = 'deleted';
