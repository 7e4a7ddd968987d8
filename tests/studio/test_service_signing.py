"""Signed upload URLs: whatever of a request is changed, the signature does not fit any more."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from glossi_sync.studio.signing import SignatureError, UploadSigner

NOW = 1_800_000_000.0
SIGNER = UploadSigner(b"s" * 32, lambda: NOW, 3600)
words = st.text(max_size=30)


def parts(query: str) -> tuple[str, str]:
    """A query's expires and signature."""
    read = parse_qs(query, strict_parsing=True)
    return read["expires"][0], read["signature"][0]


def code(signer: UploadSigner, *request: str) -> str | None:
    try:
        signer.verify(*request)
    except SignatureError as error:
        return error.code
    return None


@given(key=words, content_type=words)
def test_what_was_signed_is_honoured_until_it_expires(key: str, content_type: str) -> None:
    expires, signature = parts(SIGNER.query(key, content_type))
    assert int(expires) == NOW + 3600
    for seconds, expected in ((0, None), (3599, None), (3600, "request_expired"), (10**9, "request_expired")):
        later = UploadSigner(SIGNER.secret, lambda: NOW + seconds, 3600)  # noqa: B023 - used at once
        assert code(later, key, content_type, expires, signature) == expected


@given(asked=st.tuples(words, words, words, words), signed=st.tuples(words, words))
def test_nothing_else_is(asked: tuple[str, str, str, str], signed: tuple[str, str]) -> None:
    expires, signature = parts(SIGNER.query(*signed))
    key, content_type, other_expires, other_signature = asked
    assume(key != signed[0] and content_type != signed[1] and other_signature != signature and other_expires != expires)
    for request in (
        (key, signed[1], expires, signature),
        (signed[0], content_type, expires, signature),
        (signed[0], signed[1], other_expires, signature),
        (signed[0], signed[1], str(int(expires) + 3600), signature),
        (signed[0], signed[1], expires, other_signature),
        (signed[0], signed[1], expires, signature.upper()),
        # The parts are told apart, not only joined.
        (signed[0] + "\n" + expires, signed[1], expires, signature),
    ):
        if request != (*signed, expires, signature):
            assert code(SIGNER, *request) == "signature_does_not_match"


def test_a_forged_date_is_not_told_from_a_forged_signature() -> None:
    assert code(SIGNER, "key", "type", "1", "0" * 64) == "signature_does_not_match"


@pytest.mark.parametrize("expires", ["", "-1", "１２３", "1e9", "9" * 400])
def test_an_expiry_that_is_no_number_is_refused(expires: str) -> None:
    assert code(SIGNER, "key", "type", expires, SIGNER._signature("key", expires, "type")) == "signature_does_not_match"


def test_another_studios_urls_are_not_honoured() -> None:
    other = UploadSigner(b"t" * 32, SIGNER.clock, 3600)
    assert code(other, "key", "type", *parts(SIGNER.query("key", "type"))) == "signature_does_not_match"
