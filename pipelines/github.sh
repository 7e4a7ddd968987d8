#!/bin/sh
# What a page says, at GitHub, in one place that is updated rather than repeated:
#
#   github.sh comment FILE   the pull request's comment that begins with FILE's first line
#   github.sh issue FILE     the open issue that begins with it
#   github.sh close FILE     that issue, closed, where there is one
#
# GITHUB_TOKEN may write there, and is GLOSSI_PIPELINE_AUTHOR's (github-actions[bot]): what others have written is left
# alone, whatever it begins with. GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_EVENT_PATH are as Actions sets them.
set -eu
what=$1
file=$2
author=${GLOSSI_PIPELINE_AUTHOR:-github-actions[bot]}
api=${GITHUB_API_URL:-https://api.github.com}/repos/$GITHUB_REPOSITORY
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ask METHOD PATH [FILE]: the answer is in $work/answer.
# The token goes through a pipe and texts go as files, so that neither is ever on a command line: others would see the
# one, and the kernel refuses the other where it is long ("Argument list too long").
ask() {
  method=$1
  path=$2
  shift 2
  printf 'Authorization: Bearer %s\n' "$GITHUB_TOKEN" |
    curl --silent --show-error --fail-with-body --max-time 60 --output "$work/answer" --request "$method" \
      --header @- --header 'Accept: application/vnd.github+json' --header 'Content-Type: application/json' \
      ${1:+--data-binary "@$1"} "$api$path" || {
    echo "GitHub did not take $method $path: $(jq -r '.message // empty' "$work/answer" 2>/dev/null)" >&2
    exit 1
  }
}

# find PATH: what is ours in that list, as one line "ID NUMBER" in $found; empty where nothing is.
find() {
  page=1
  while :; do
    ask GET "$1per_page=100&page=$page"
    found=$(jq -r --rawfile text "$file" --arg author "$author" '
      ($text | split("\n")[0]) as $marker
      | map(select(.user.login == $author and .pull_request == null and ((.body // "") | startswith($marker))))
      | .[0] // empty | "\(.id) \(.number // "")"' "$work/answer")
    if [ -n "$found" ] || [ "$(jq length "$work/answer")" -lt 100 ]; then
      return
    fi
    page=$((page + 1))
  done
}

case $what in
comment)
  number=$(jq -r '.pull_request.number // .issue.number // empty' "$GITHUB_EVENT_PATH")
  [ -n "$number" ] || {
    echo "github.sh: this run is not a pull request's" >&2
    exit 1
  }
  find "/issues/$number/comments?"
  jq -n --rawfile body "$file" '{body: $body}' >"$work/body"
  if [ -n "$found" ]; then
    ask PATCH "/issues/comments/${found%% *}" "$work/body"
  else
    ask POST "/issues/$number/comments" "$work/body"
  fi
  ;;
issue | close)
  find '/issues?state=open&labels=glossi-sync&'
  if [ "$what" = close ]; then
    [ -n "$found" ] || exit 0
    echo '{"state": "closed", "state_reason": "completed"}' >"$work/body"
    ask PATCH "/issues/${found##* }" "$work/body"
  elif [ -n "$found" ]; then
    jq -n --rawfile body "$file" '{body: $body}' >"$work/body"
    ask PATCH "/issues/${found##* }" "$work/body"
  else
    jq -n --rawfile body "$file" '{
      title: "The rendering service no longer matches the spec", labels: ["glossi-sync"], body: $body
    }' >"$work/body"
    ask POST /issues "$work/body"
  fi
  ;;
*)
  echo "github.sh: comment, issue or close; not $what" >&2
  exit 1
  ;;
esac
jq -r '.html_url // empty' "$work/answer"
