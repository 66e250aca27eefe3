#!/bin/sh
# The program rbd as far as host/volume/rbd asks it, over a directory (that of --conf): names, sizes, snapshots, parents, trash, keys; no
# content. Refuses what Ceph 16.2 refuses, with the same exit codes, and keeps a snapshot that a clone reads.
#   images/NAME or trash/ID/NAME: size, id, parent (a snapshot's id), meta/KEY, snaps/NAME (its id and size), kept/ID (a removed one)
set -eu
args=; name=; format=
while [ $# -gt 0 ]; do
  case $1 in
    --conf) cd "$(dirname "$2")"; shift ;;
    --id | --keyring | --namespace) shift ;;
    --size) size=$(( ${2%M} * 1048576 )); shift ;;
    --format) [ -z "$format" ] || { echo "rbd: option '--format' cannot be specified more than once" >&2; exit 1; }; format=$2; shift ;;
    --*) ;;
    *) args="$args $1" ;;
  esac
  shift
done
# shellcheck disable=SC2086
set -- $args
mkdir -p images trash
fail() { echo "rbd: $2" >&2; exit "$1"; }
# Of a spec: the image's name, and of its snapshot.
split() { name=${1##*/}; snap=; case $name in *@*) snap=${name#*@}; name=${name%@*} ;; esac; at=images/$name; }
there() { [ -d "$at" ] || fail 2 "error opening image $name: (2) No such file or directory"; }
fresh() { id=$$-$(date +%N); }
made() { [ ! -d "images/$name" ] || fail 17 "image $name already exists"; fresh; mkdir -p "new.$id/meta" "new.$id/snaps" "new.$id/kept"; echo "$id" >"new.$id/id"; echo "$1" >"new.$id/size"; echo "$2" >"new.$id/parent"; mv "new.$id" "images/$name"; }
is_read() { grep -qsx "$1" images/*/parent trash/*/*/parent; }
case "$1 ${2-}" in
  'create '*) split "$2"; made "$size" '' ;;
  'import '*) split "$3"; made "$(stat -c %s "$2")" '' ;;
  'export '*) split "$2"; there; [ -n "$snap" ] && bytes=$(cut -d' ' -f2 "$at/snaps/$snap") || bytes=$(cat "$at/size"); truncate -s "$bytes" "$3" ;;
  'clone '*)
    split "$2"; there; [ -f "$at/snaps/$snap" ] || fail 2 "no snapshot $snap"
    read -r parent bytes <"$at/snaps/$snap"; split "$3"; made "$bytes" "$parent" ;;
  'resize '*) split "$2"; there; echo "$size" >"$at/size" ;;
  'flatten '*) split "$2"; there; echo '' >"$at/parent" ;;
  'info '*) split "$2"; there; parent=$(cat "$at/parent"); printf '{"size":%s%s}\n' "$(cat "$at/size")" "${parent:+,\"parent\":\"$parent\"}" ;;
  'rm '*) split "$2"; there; [ -z "$(ls "$at/snaps" "$at/kept" 2>/dev/null | grep -v :)" ] || fail 39 'image has snapshots'; rm -r "$at" ;;
  'ls '*) printf '['; s=; for at in images/*; do [ -d "$at" ] && { printf '%s"%s"' "$s" "${at##*/}"; s=,; }; done; echo ']' ;;
  'du '*) split "$2"; there; echo '{"images":[]}' ;;
  'snap create') split "$3"; there; [ ! -f "$at/snaps/$snap" ] || fail 17 'snapshot exists'; fresh; echo "$id $(cat "$at/size")" >"$at/.new"; mv "$at/.new" "$at/snaps/$snap" ;;
  'snap rm')
    split "$3"; there; [ -f "$at/snaps/$snap" ] || fail 2 "no snapshot $snap"
    read -r id bytes <"$at/snaps/$snap"; if is_read "$id"; then mv "$at/snaps/$snap" "$at/kept/$id"; else rm "$at/snaps/$snap"; fi ;;
  'snap purge') split "$3"; there; for each in "$at"/snaps/*; do [ -f "$each" ] || continue; read -r id bytes <"$each"; if is_read "$id"; then mv "$each" "$at/kept/$id"; else rm "$each"; fi; done ;;
  'snap ls') split "$3"; there; printf '['; s=; for each in "$at"/snaps/*; do [ -f "$each" ] || continue; read -r id bytes <"$each"; printf '%s{"name":"%s","size":%s}' "$s" "${each##*/}" "$bytes"; s=,; done; echo ']' ;;
  'image-meta set') split "$3"; there; key=$4; shift 4; echo "$*" >"$at/.meta"; mv "$at/.meta" "$at/meta/$key" ;;
  'image-meta remove') split "$3"; there; rm "$at/meta/$4" 2>/dev/null || fail 2 'no such key' ;;
  'image-meta list') split "$3"; there; s='{'; for each in "$at"/meta/*; do [ -f "$each" ] || continue; printf '%s"%s":"%s"' "$s" "${each##*/}" "$(cat "$each")"; s=,; done; if [ "$s" = , ]; then echo '}'; fi ;;
  'trash mv') split "$3"; there; id=$(cat "$at/id"); mkdir "trash/$id"; mv "$at" "trash/$id/$name" ;;
  'trash ls') printf '['; s=; for each in trash/*/*; do [ -d "$each" ] || continue; id=${each#trash/}; printf '%s{"id":"%s","name":"%s"}' "$s" "${id%%/*}" "${each##*/}"; s=,; done; echo ']' ;;
  'trash rm')
    id=${3##*/}; set -- "trash/$id"/*; [ -d "$1" ] || fail 2 'no such image'
    [ -z "$(ls "$1/snaps")" ] || fail 39 'image has snapshots'
    for each in "$1"/kept/*; do [ -f "$each" ] && is_read "${each##*/}" && fail 39 'image has snapshots'; done; rm -r "trash/$id" ;;
  *) fail 22 "the fake does not know: $*" ;;
esac
