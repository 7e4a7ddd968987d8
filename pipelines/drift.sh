#!/bin/sh
# Does the service still match? drift.md tells. Exits with 2 where it does not, with 0 where it does.
. "$(dirname "$0")/common.sh"

page=$folder/drift.md
rm -f "$page"
tell_artifact drift
code=0
glossi-sync drift "$@" --format markdown >"$page" || code=$?
tell exit_code "$code"
case $code in
0 | 2) ;;
*) exit "$code" ;;
esac
tell page "$page"
if [ "$code" -eq 2 ]; then tell has_changes true; else tell has_changes false; fi
cat "$page"
summarise <"$page"
exit "$code"
