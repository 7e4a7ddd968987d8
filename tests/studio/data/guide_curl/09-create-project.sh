curl -X POST https://api.glossi.app/api/v1/projects \
-H "X-API-Key: glsi_xxxxxxxxxx_xxxxx" \
-H "Content-Type: application/json" \
-d '{
"name": "Product Photoshoot",
"modelIds": ["abc123-uuid"],
"templateId": "template-uuid"
}'
