#!/bin/sh
# gitlab.sh note FILE: the merge request's note that begins with FILE's first line, updated rather than repeated.
#
# GITLAB_TOKEN is a project's access token (scope api): a job's own token may not write notes. Only the token's own notes
# are touched. CI_API_V4_URL, CI_PROJECT_ID and CI_MERGE_REQUEST_IID are as GitLab sets them.
set -eu
what=$1
file=$2
[ "$what" = note ] || {
  echo "gitlab.sh: note; not $what" >&2
  exit 1
}
notes=/projects/$CI_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ask METHOD PATH [FILE]: the answer is in $work/answer. Of the token and the texts, github.sh says why they go so.
ask() {
  method=$1
  path=$2
  shift 2
  printf 'PRIVATE-TOKEN: %s\n' "$GITLAB_TOKEN" |
    curl --silent --show-error --fail-with-body --max-time 60 --output "$work/answer" --request "$method" \
      --header @- --header 'Content-Type: application/json' ${1:+--data-binary "@$1"} "$CI_API_V4_URL$path" || {
    echo "GitLab did not take $method $path: $(jq -c '.message // .error // empty' "$work/answer" 2>/dev/null)" >&2
    exit 1
  }
}

ask GET /user
author=$(jq -r .id "$work/answer")
found=
page=1
while :; do
  ask GET "$notes?per_page=100&page=$page"
  found=$(jq -r --rawfile text "$file" --argjson author "$author" '
    ($text | split("\n")[0]) as $marker
    | map(select(.author.id == $author and (.body | startswith($marker)))) | .[0].id // empty' "$work/answer")
  if [ -n "$found" ] || [ "$(jq length "$work/answer")" -lt 100 ]; then
    break
  fi
  page=$((page + 1))
done
jq -n --rawfile body "$file" '{body: $body}' >"$work/body"
if [ -n "$found" ]; then
  ask PUT "$notes/$found" "$work/body"
else
  ask POST "$notes" "$work/body"
fi
