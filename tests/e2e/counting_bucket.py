"""An S3 (moto's) with a doorkeeper before what comes by presigned URLs. Run as a script, see ``studio_elsewhere``."""

from __future__ import annotations

from typing import Any

from counting_studio import DESK, Doorkeeper
from studio_elsewhere import serve_bucket


def with_doorkeeper(app: Any) -> Any:
    kept = Doorkeeper(app)

    async def door(scope: Any, receive: Any, send: Any) -> None:
        by_signed_url = b"X-Amz-Signature=" in scope["query_string"] or scope["path"].startswith(DESK)
        await (kept if by_signed_url else app)(scope, receive, send)

    return door


if __name__ == "__main__":
    serve_bucket(with_doorkeeper)
