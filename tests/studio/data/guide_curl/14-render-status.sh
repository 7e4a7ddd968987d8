curl https://api.glossi.app/api/v1/renders/job-uuid \
-H "X-API-Key: glsi_xxxxxxxxxx_xxxxx"
