#!/bin/sh
# apply.sh [PLAN]: makes it so, by the saved plan where one is given; then report.html tells of it, unless this was but a
# shard. Exits as the apply does.
saved=${1:-}
. "$(dirname "$0")/common.sh"

if [ -n "$saved" ]; then
  set -- "$saved" "$@"
fi
tell_artifact apply
log=$folder/apply.txt
ended=$folder/exit-code
# Through tee, to be seen while it lasts; a pipe's exit code is tee's, so the apply's own is written down.
{
  code=0
  glossi-sync apply "$@" --yes || code=$?
  echo "$code" >"$ended"
} | tee "$log"
code=$(cat "$ended")
rm -f "$ended"
tell exit_code "$code"
# Indented, which no text can break out of.
tail -n 60 "$log" | sed 's/^/    /' | summarise
if [ -z "$shard" ]; then
  glossi-sync report --out "$folder/report.html" || echo "There is no report." >&2
fi
exit "$code"
