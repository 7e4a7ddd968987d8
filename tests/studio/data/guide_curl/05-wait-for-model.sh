# Simple polling loop
while true; do
RESPONSE=$(curl -s -X POST https://api.glossi.app/api/v1/models/status \
-H "X-API-Key: $API_KEY" \
-H "Content-Type: application/json" \
-d '{"modelIds": ["abc123-uuid"]}')
ALL_READY=$(echo $RESPONSE | jq -r '.allReady')
if [ "$ALL_READY" = "true" ]; then
echo "Model ready! Proceeding to create project..."
break
fi
echo "Model still processing..."
sleep 5
done
