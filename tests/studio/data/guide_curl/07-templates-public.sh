# Only public templates
curl "https://api.glossi.app/api/v1/templates?internal=false" \
-H "X-API-Key: glsi_xxxxxxxxxx_xxxxx"
