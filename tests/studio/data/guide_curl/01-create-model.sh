curl -X POST https://api.glossi.app/api/v1/models \
-H "X-API-Key: glsi_xxxxxxxxxx_xxxxx" \
-H "Content-Type: application/json" \
-d '{
"models": [
{
"name": "My Product",
"fileName": "product.glb",
"fileType": "glb"
}
]
}'
