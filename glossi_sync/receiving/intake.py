"""What becomes of one delivery: checked, read, kept, and what its sender is answered.

A replay is a delivery whose signed bytes were kept before. That is how the service retries one whose answer it did not
hear, so it is answered 200, and nothing is done. Nothing is refused for its age: a retry may come late.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

from glossi_sync.service.signature import sign, signed_form
from glossi_sync.state import Received, StateError
from glossi_sync.webhooks import Malformed, parse

_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")

READ_AGAIN_AFTER = 1.0
"""Seconds before a secret that does not fit is read once more: forgers must not make us read all the time."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a delivery: an HTTP status, a few words for the log, and what was understood of it."""

    status: int
    words: str
    event: str | None = None
    digest: str | None = None


class Secret:
    """The webhook's secret, read when it is needed: an apply may make the webhook, or another one, while we listen.

    ``read`` answers None where there is none yet; it may raise StateError or OSError.
    """

    def __init__(self, read: Callable[[], str | bytes | None], clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._known: str | bytes | None = None
        self._read_at = float("-inf")

    def fits(self, body: bytes, signature: str) -> bool:
        """Whether the signature is of these very bytes, with the secret as it was last read: told at once."""
        return bool(self._known) and hmac.compare_digest(sign(body, self._known or b""), signature.strip().lower())

    def signed_form(self, body: bytes, signature: str) -> bytes | None:
        """The bytes that were signed with the secret as it is now; None where the signature does not fit."""
        found = signed_form(body, signature, self._known or b"")
        if found is None and self._look():
            found = signed_form(body, signature, self._known or b"")
        return found

    @property
    def is_known(self) -> bool:
        """Whether there is a secret."""
        return bool(self._known) or (self._look() and bool(self._known))

    def _look(self) -> bool:
        """Read it, unless that was done just now; whether it is another one."""
        now = self._clock()
        if now - self._read_at < READ_AGAIN_AFTER:
            return False
        self._read_at = now
        former, self._known = self._known, self._read()
        return self._known != former


class Intake:
    """Takes deliveries, one at a time. ``keep`` is the state's ``put_event``; ``clock`` tells Unix seconds."""

    def __init__(self, secret: Secret, keep: Callable[[Received], bool], clock: Callable[[], float]) -> None:
        self._secret = secret
        self._keep = keep
        self._clock = clock

    def is_quick(self, body: bytes, signature: str | None) -> bool:
        """Whether ``take`` has not much to do: unlike where a body must be read and spelled anew to be checked."""
        return signature is None or not _SIGNATURE.fullmatch(signature.strip()) or self._secret.fits(body, signature)

    def take(self, body: bytes, signature: str | None) -> Verdict:
        """Check a delivery, and keep it. It is durable when this answers 200."""
        try:
            if signature is None or not _SIGNATURE.fullmatch(signature.strip()):
                return Verdict(401, "no signature" if signature is None else "not a signature")
            if not self._secret.is_known:
                return Verdict(503, "the webhook's secret is not known here yet")
            form = self._secret.signed_form(body, signature)
            if form is None:
                return Verdict(401, "the signature does not fit")
            return self._take_signed(form)
        except (StateError, OSError) as error:
            return Verdict(503, f"not kept: {error}")

    def _take_signed(self, form: bytes) -> Verdict:
        digest = hashlib.sha256(form).hexdigest()
        try:
            text = form.decode()
            name = parse(text).name
        except UnicodeDecodeError:
            return Verdict(400, "signed, but not UTF-8", digest=digest)
        except Malformed as error:
            return Verdict(400, f"signed, but {error}", digest=digest)
        if not _NAME.fullmatch(name):
            return Verdict(400, "signed, but its `event` is no event's name", digest=digest)
        fresh = self._keep(Received(digest, name, text, self._clock()))
        return Verdict(200, "kept" if fresh else "known already", name, digest)
