#!/usr/bin/env bash
# The guide's own steps for one product, as its readers write them down: one call after the other, with curl and jq.
# Usage: API=https://…/api/v1 KEY=… TEMPLATE=template-id guide.sh FILE.glb
set -euo pipefail
file=$1
name=$(basename "$file" .glb)

ask() { curl -sS --fail -H "X-API-Key: $KEY" -H "Content-Type: application/json" "$@"; }

# Step 2.1 to 2.3: record, upload, confirm
recorded=$(ask -X POST "$API/models" \
  -d "{\"models\": [{\"name\": \"$name\", \"fileName\": \"$name.glb\", \"fileType\": \"glb\"}]}")
model=$(jq -r '.models[0].modelId' <<<"$recorded")
curl -sS --fail -X PUT "$(jq -r '.models[0].uploadUrl' <<<"$recorded")" \
  -H "Content-Type: model/gltf-binary" --data-binary @"$file"
ask -X POST "$API/models/$model/confirm" -d '{"fileType": "glb"}' >/dev/null

# Step 2.4: the guide's polling loop
while [ "$(ask -X POST "$API/models/status" -d "{\"modelIds\": [\"$model\"]}" | jq -r '.allReady')" != true ]; do
  sleep 5
done

# Steps 3 and 4
project=$(ask -X POST "$API/projects" \
  -d "{\"name\": \"$name\", \"modelIds\": [\"$model\"], \"templateId\": \"$TEMPLATE\"}" | jq -r '.projects[0].projectId')
job=$(ask -X POST "$API/renders" \
  -d "{\"projectIds\": [\"$project\"], \"settings\": {\"renderShots\": false}}" | jq -r '.jobs[0].jobId')

# Step 5
while true; do
  case $(ask "$API/renders/$job" | jq -r '.status') in
    COMPLETED) exit 0 ;;
    FAILED) exit 1 ;;
  esac
  sleep 5
done
