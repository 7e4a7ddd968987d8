curl https://api.glossi.app/api/v1/templates \
-H "X-API-Key: glsi_xxxxxxxxxx_xxxxx"
