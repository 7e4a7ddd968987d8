#!/bin/sh
# sync.sh plan|apply|drift: fetches glossi-sync where it is not there yet, and runs that step. For Jenkins, cron, or any
# machine with a shell, git and Python 3.11; run it in the folder of the spec.
#
#   GLOSSI_API_KEY, GLOSSI_STATE, GLOSSI_ENDPOINT, GLOSSI_SPEC   as glossi-sync reads them
#   GLOSSI_SYNC_REF, GLOSSI_SYNC_REPOSITORY                      which glossi-sync, and from where
#   GLOSSI_SYNC_HOME                                             where it is kept from run to run
set -eu
step=${1:-}
case $step in
plan | apply | drift) shift ;;
*)
  echo "sync.sh: plan, apply or drift" >&2
  exit 1
  ;;
esac
ref=${GLOSSI_SYNC_REF:-v0.1.0}
home=${GLOSSI_SYNC_HOME:-$HOME/.cache/glossi-sync/$ref}
export GLOSSI_SYNC_VENV="$home/venv"
export GLOSSI_SYNC_EXTRAS="${GLOSSI_SYNC_EXTRAS-buckets,postgres,report}"

if [ ! -d "$home" ]; then
  # Whole or not at all: a run that is broken off here leaves nothing that the next one would take for it.
  mkdir -p "$(dirname "$home")"
  fetched=$(mktemp -d "$home.XXXXXX")
  trap 'rm -rf "$fetched"' EXIT
  git clone --quiet --depth 1 --branch "$ref" \
    "${GLOSSI_SYNC_REPOSITORY:-https://github.com/glossi-sync/glossi-sync.git}" "$fetched/checkout"
  mv "$fetched/checkout" "$home" 2>/dev/null || [ -d "$home" ]
fi
[ -x "$GLOSSI_SYNC_VENV/bin/glossi-sync" ] || sh "$home/pipelines/install.sh"
PATH=$GLOSSI_SYNC_VENV/bin:$PATH sh "$home/pipelines/$step.sh" "$@"
