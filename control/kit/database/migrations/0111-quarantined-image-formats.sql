-- Hosts keep images of every format that QEMU reads, and files that are none of them: those have no virtual size.
alter table quarantined_image drop constraint if exists quarantined_image_format_check;
alter table quarantined_image add constraint quarantined_image_format_check
  check (format in ('raw', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx', 'iso', 'ploop', 'ova'));
alter table quarantined_image alter column virtual_size_bytes drop not null;
