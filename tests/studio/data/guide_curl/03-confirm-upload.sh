curl -X POST https://api.glossi.app/api/v1/models/abc123-uuid/confirm \
-H "X-API-Key: glsi_xxxxxxxxxx_xxxxx" \
-H "Content-Type: application/json" \
-d '{"fileType": "glb"}'
