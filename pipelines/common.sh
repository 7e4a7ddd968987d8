# shellcheck shell=sh
# What plan.sh, apply.sh and drift.sh share; sourced by them. Their settings come from the environment, so that nothing
# that a person wrote is ever part of a script's text:
#
#   GLOSSI_SPEC, GLOSSI_ENDPOINT, GLOSSI_STATE, GLOSSI_API_KEY   as glossi-sync itself reads them
#   GLOSSI_PIPELINE_FOLDER   where what a step makes goes (glossi-pipeline)
#   GLOSSI_PIPELINE_SHARD    this runner's part of the catalogue, such as 3/16
#   GLOSSI_PIPELINE_ARGS     further options, parted by white space
set -eu

folder=${GLOSSI_PIPELINE_FOLDER:-glossi-pipeline}
shard=${GLOSSI_PIPELINE_SHARD:-}
mkdir -p "$folder"

# An input that was not given arrives as an empty text.
[ -n "${GLOSSI_SPEC:-}" ] || unset GLOSSI_SPEC
[ -n "${GLOSSI_ENDPOINT:-}" ] || unset GLOSSI_ENDPOINT
[ -n "${GLOSSI_STATE:-}" ] || unset GLOSSI_STATE
[ -n "${GLOSSI_API_KEY:-}" ] || unset GLOSSI_API_KEY

set -f
# shellcheck disable=SC2086  # parted into words, and nothing else done with them
set -- ${GLOSSI_PIPELINE_ARGS:-}
set +f
if [ -n "$shard" ]; then
  set -- "$@" --shard "$shard"
fi

# A line for the steps that follow: an output of the step at GitHub, elsewhere a line of a file to read.
if [ -z "${GITHUB_OUTPUT:-}" ]; then
  GITHUB_OUTPUT=$folder/outputs.env
  : >"$GITHUB_OUTPUT"
fi
tell() {
  printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
}

# A name for what this step leaves, each shard's its own.
tell_artifact() {
  tell artifact "glossi-$1$(printf '%s' "${shard:+-$shard}" | tr -c 'A-Za-z0-9-' '-')"
}

# Onto the page of the job, where the service has one.
summarise() {
  [ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat >>"$GITHUB_STEP_SUMMARY"
}
