#!/bin/sh
# walraft: this text, then a compressed archive of the Deno runtime, the program and the files it reads.
# The first run unpacks it; later runs start what is there. Needs sh, tail, gzip, tar, cksum, sync, mktemp, mkdir, mv, rm;
# id for TMPDIR, sed for a path with quotes.
set -u
hash=@HASH@
program=@PROGRAM@
assets="@ASSETS@"
payload_offset=@PAYLOAD_OFFSET@
payload_checksum="@PAYLOAD_CHECKSUM@"

case $0 in
  /*) self=$0 ;;
  */*) self=$PWD/$0 ;;
  # Without a slash: a shell was given the name, and looked here before it looked in PATH.
  *) self=$PWD/$0
     [ -f "$self" ] || self=$(command -v -- "$0") || self=$0 ;;
esac

fail() {
  printf 'walraft: %s\n' "$1" >&2
  exit 70
}

# Every file reaches its name by a rename of complete, synced bytes, so a name that exists is good.
is_unpacked() {
  [ -x "$1/deno" ] || return 1
  for file in $program $assets; do [ -s "$1/$file" ] || return 1; done
}

# Another user must not be able to place a program here that this user then runs.
is_ours() {
  [ -d "$1" ] && [ ! -h "$1" ] && [ -O "$1" ]
}

verify_payload() {
  [ -r "$self" ] || fail "Cannot read $self to unpack it"
  found=$(tail -c "+$payload_offset" "$self" | cksum)
  [ "$found" = "$payload_checksum" ] ||
    fail "Cannot unpack $self: it is damaged (checksum $found, expected $payload_checksum); copy it again"
}

# Files of equal content are put in place one by one: any number of first runs may do this at once.
unpack() {
  (
    umask 077
    mkdir -p "$1" && is_ours "$1" || exit 1
    mkdir -p "$1/$hash" && is_ours "$1/$hash" || exit 1
    temporary=$(mktemp -d "$1/unpack.XXXXXX") || exit 1
    trap 'rm -rf "$temporary"' EXIT
    trap 'exit 1' HUP INT TERM
    tail -c "+$payload_offset" "$self" | gzip -dc | tar -xof - -C "$temporary" || exit 1
    # Names must not survive a power failure that the bytes do not survive.
    sync "$temporary"/* || sync
    for file in $program $assets deno; do
      mv -f "$temporary/$file" "$1/$hash/$file" || exit 1
    done
  ) 2>/dev/null
}

start() {
  home=$1/$hash
  shift
  case $self in
    *[\"\\]*) escaped=$(printf '%s' "$self" | sed 's/["\\]/\\&/g') ;;
    *) escaped=$self ;;
  esac
  # Read by the program when it starts further processes of itself.
  export WALRAFT_SELF_COMMAND="[\"$escaped\"]"
  export DENO_DIR="$home/deno_dir" DENO_NO_UPDATE_CHECK=1
  exec "$home/deno" run -A --v8-flags=--max-semi-space-size=2 --no-prompt --no-config --no-lock --no-remote --no-npm "$home/$program" "$@"
}

verified=
try() {
  root=$1
  shift
  if is_ours "$root" && is_ours "$root/$hash" && is_unpacked "$root/$hash"; then start "$root" "$@"; fi
  if [ -z "$verified" ]; then verify_payload && verified=yes; fi
  if unpack "$root" && is_unpacked "$root/$hash"; then start "$root" "$@"; fi
}

case ${XDG_CACHE_HOME-} in /*) try "$XDG_CACHE_HOME/walraft" "$@" ;; esac
case ${HOME-} in /*) if [ -d "$HOME" ]; then try "$HOME/.cache/walraft" "$@"; fi ;; esac
try "${TMPDIR:-/tmp}/walraft-$(id -u)" "$@"
fail "Cannot unpack into XDG_CACHE_HOME, HOME/.cache or TMPDIR: each is missing, full, not writable, not owned by this user or mounted noexec; set XDG_CACHE_HOME to a folder with 110 MB free"
