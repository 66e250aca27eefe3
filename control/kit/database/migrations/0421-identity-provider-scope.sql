-- What is asked of an OpenID provider about a user who logs in there with a browser; null: openid email profile.
alter table identity_provider add column client_scope text;
