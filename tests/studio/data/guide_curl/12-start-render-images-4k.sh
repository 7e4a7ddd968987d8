curl -X POST https://api.glossi.app/api/v1/renders \
-H "X-API-Key: glsi_xxxxxxxxxx_xxxxx" \
-H "Content-Type: application/json" \
-d '{
"projectIds": ["project-uuid"],
"settings": {
"renderBookmarks": true,
"renderShots": false,
"imageQuality": 2
}
}'
