#!/bin/sh
# Installs glossi-sync into a virtual environment: from the checkout that this script is part of, or a released version.
#
#   GLOSSI_SYNC_VENV      where (glossi-sync in the runner's temporary folder)
#   GLOSSI_SYNC_EXTRAS    what else to install, such as buckets,postgres,report
#   GLOSSI_SYNC_VERSION   a release in place of the checkout, such as 0.1.0
#   PYTHON                the interpreter (python3), 3.11 or newer
#
# Its programs' folder is the last line that this prints, and where GitHub looks for programs from then on.
set -eu
venv=${GLOSSI_SYNC_VENV:-${RUNNER_TEMP:-${TMPDIR:-/tmp}}/glossi-sync}
extras=${GLOSSI_SYNC_EXTRAS:-}
version=${GLOSSI_SYNC_VERSION:-}

# Of what pip reads as a requirement, only what is meant to be there: no URL, no option, no condition.
case $extras in *[!A-Za-z0-9,_-]*)
  echo "install.sh: the extras are names parted by commas, such as buckets,postgres; not $extras" >&2
  exit 1
  ;;
esac
case $version in *[!A-Za-z0-9.+]*)
  echo "install.sh: a version is like 0.1.0, not $version" >&2
  exit 1
  ;;
esac

what=$(cd "$(dirname "$0")/.." && pwd)
[ -z "$version" ] || what=glossi-sync
requirement="$what${extras:+[$extras]}${version:+==$version}"
"${PYTHON:-python3}" -m venv "$venv"
bin=$venv/bin
[ -d "$bin" ] || bin=$venv/Scripts
"$bin/python" -m pip install --quiet --disable-pip-version-check "$requirement" >&2
[ -z "${GITHUB_PATH:-}" ] || echo "$bin" >>"$GITHUB_PATH"
echo "$bin"
