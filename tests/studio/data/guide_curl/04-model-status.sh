curl -X POST https://api.glossi.app/api/v1/models/status \
-H "X-API-Key: glsi_xxxxxxxxxx_xxxxx" \
-H "Content-Type: application/json" \
-d '{"modelIds": ["abc123-uuid"]}'
