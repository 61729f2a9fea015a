#!/bin/sh
# Price changes with kcat: price-changes.sh [new|all|since MS|latest CODE|group NAME]
# BOOTSTRAP is a broker's host:port. Each line of output is a record: -f says how, -J as JSON with headers and place.
set -eu
BOOTSTRAP=${BOOTSTRAP:-127.0.0.1:9092}
TOPIC=ashare.price-changes.v1

case ${1:-new} in
# What comes from now on, until Ctrl-C.
new) exec kcat -C -q -u -b "$BOOTSTRAP" -t "$TOPIC" -o end -f '%s\n' ;;

# Everything that is kept, and then an end.
all) exec kcat -C -q -e -b "$BOOTSTRAP" -t "$TOPIC" -o beginning -J ;;

# Everything that was received since a time, in ms since the epoch: since "$(date -d '09:30 +0800' +%s)000"
since) exec kcat -C -q -e -b "$BOOTSTRAP" -t "$TOPIC" -o "s@$2" -J ;;

# The last change of one code; a key is always in the same partition, in order.
latest) kcat -C -q -e -b "$BOOTSTRAP" -t "$TOPIC" -o beginning -f '%k %s\n' | sed -n "s/^$2 //p" | tail -n 1 ;;

# As a group, which shares the partitions and goes on where it was: at first from the beginning.
group) exec kcat -q -u -b "$BOOTSTRAP" -G "$2" -X auto.offset.reset=earliest -J "$TOPIC" ;;

*) sed -n '2,3s/^# //p' "$0" >&2; exit 2 ;;
esac
