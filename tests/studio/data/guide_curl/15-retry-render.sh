curl -X POST https://api.glossi.app/api/v1/renders/job-uuid/retry \
-H "X-API-Key: glsi_xxxxxxxxxx_xxxxx"
