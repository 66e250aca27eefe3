-- Images whose digests are found after they have become active, and servers that were given such an image meanwhile: few, and for moments.
create index image_without_digests on image (id) where sha512 is null and size_bytes is not null;
create index server_without_digest on server (id) where image @> '{"sha256": null}' or desired_root @> '{"image": {"sha256": null}}'
  or desired_rescue @> '{"image": {"sha256": null}}' or desired_shelve @> '{"image": {"sha256": null}}';
