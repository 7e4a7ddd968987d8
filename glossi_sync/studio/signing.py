"""Signed upload URLs: who holds one may PUT one file of one kind for a while, and nothing else (guide, Steps 2.1, 2.2).

What is signed: the method, the upload key, the moment of expiry and the Content-Type. The client's own part of a
request that could change any of them changes the signature, so no record has to be asked before a stranger is turned
away.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from glossi_sync.service import wire

_DIGITS = re.compile(r"[0-9]{1,15}\Z", re.ASCII)


class SignatureError(Exception):
    """A signed URL that is not honoured.

    Attributes:
        code: ``request_expired`` or ``signature_does_not_match``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class UploadSigner:
    """Signs upload URLs and checks them.

    Attributes:
        secret: at least 32 random bytes, kept in the data folder: URLs outlive a restart.
        clock: seconds since the epoch.
        lifetime: seconds that a URL lives.
    """

    secret: bytes
    clock: Callable[[], float]
    lifetime: float = wire.UPLOAD_URL_SECONDS

    def query(self, upload_key: str, content_type: str) -> str:
        """The query string that makes ``/uploads/<upload key>`` a signed URL, for ``lifetime`` seconds from now."""
        expires = str(int(self.clock() + self.lifetime))
        return f"expires={expires}&signature={self._signature(upload_key, expires, content_type)}"

    def verify(self, upload_key: str, content_type: str, expires: str, signature: str) -> None:
        """Check a PUT to a signed URL, the signature before the expiry: a forged date tells nothing.

        Raises:
            SignatureError: with a message as S3 words it.
        """
        expected = self._signature(upload_key, expires, content_type)
        if not _DIGITS.match(expires) or not hmac.compare_digest(expected.encode(), signature.encode()):
            raise SignatureError(
                "signature_does_not_match",
                "The request signature we calculated does not match the signature you provided. PUT to the uploadUrl"
                f" exactly as it was given, with the Content-Type of the model's file type (this request said"
                f" {content_type!r}).",
            )
        if self.clock() >= int(expires):
            raise SignatureError(
                "request_expired",
                f"{wire.UPLOAD_EXPIRED}: an uploadUrl lives for {self.lifetime:g} seconds."
                f" Create the model record again with POST {wire.MODELS_PATH} to get a new one.",
            )

    def _signature(self, upload_key: str, expires: str, content_type: str) -> str:
        text = "\n".join(("PUT", quote(upload_key), quote(expires), quote(content_type)))
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()
