"""The state in a bucket of S3, Google Cloud Storage or Azure.

``BucketState`` keeps a snapshot and a journal of small objects, and argues why no run can harm another's; ``lease`` is
its lock, ``events`` what a webhook's receiver has kept, ``wire`` how all of it is spelled. ``objects`` is all that they
need of a bucket, and the one place that speaks to obstore.

It is not the place for models in buckets (``spec``) or finished pictures (``applying``); what all of them share in
opening one is ``glossi_sync.buckets``.
"""
