-- Who looks for a disk's blobs goes by its intents (object_blob_file); one index less to write for each object.
drop index object_blob_disk;
