#!/bin/sh
# What would change: plan.json, which apply.sh takes, and plan.md, for a comment, both in the pipeline's folder.
# Exits with 0 whether there are changes or not; `has_changes` tells which.
. "$(dirname "$0")/common.sh"

plan=$folder/plan.json
page=$folder/plan.md
rm -f "$plan" "$page"
tell_artifact plan
code=0
glossi-sync plan "$@" --out "$plan" --format markdown --detailed-exitcode >"$page" || code=$?
tell exit_code "$code"
case $code in
0 | 2) ;;
*) exit "$code" ;;
esac
tell plan_file "$plan"
tell page "$page"
if [ "$code" -eq 2 ]; then tell has_changes true; else tell has_changes false; fi
cat "$page"
summarise <"$page"
