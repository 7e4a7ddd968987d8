# Only your workspace templates
curl "https://api.glossi.app/api/v1/templates?public=false" \
-H "X-API-Key: glsi_xxxxxxxxxx_xxxxx"
