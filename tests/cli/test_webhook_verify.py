"""``webhook verify``: a delivery from its file, with the secret that the spec's webhook has, or with a given one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from glossi_sync.cli import main
from glossi_sync.service.signature import sign

BODY = '{"event": "render.complete", "data": {"jobId": "é"}}\n'.encode()
SPEC = """
version: 1
workspace: shop
service: {endpoint: "https://api.example/api/v1", apiKey: glsi_x}
webhook: {url: "https://shop.example/hook", events: [render.complete], secretFile: secret}
"""

Verify = Callable[..., Result]


@pytest.fixture
def verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verify:
    monkeypatch.chdir(tmp_path)
    Path("glossi.yaml").write_text(SPEC, encoding="utf-8")
    Path("body").write_bytes(BODY)

    def run(signature: str, *options: str) -> Result:
        return CliRunner().invoke(main, ["webhook", "verify", "body", "--signature", signature, *options])

    return run


def test_it_uses_the_secret_that_is_kept_for_the_spec(verify: Verify) -> None:
    missing = verify("00")
    assert missing.exit_code == 1
    assert "secret keeps no secret: give one with --secret-file or --secret-env." in missing.output
    Path("secret").write_text("sesame\n", encoding="utf-8")
    good = verify(sign(BODY, "sesame"))
    assert (good.exit_code, good.output) == (0, "Verified: render.complete.\n")
    forged = verify(sign(BODY, "mustard"))
    assert forged.exit_code == 1
    assert forged.output == "Not verified: the signature is not of these bytes with this secret.\n"
    assert not Path("state").exists(), "it only looks"


def test_it_uses_the_secret_that_is_given(verify: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("other").write_text("mustard\n", encoding="utf-8")
    Path("empty").write_text("\n", encoding="utf-8")
    monkeypatch.setenv("HOOK", "mustard")
    signature = sign(BODY, "mustard")
    assert verify(signature, "--secret-file", "other").exit_code == 0
    assert verify(signature, "--secret-env", "HOOK").exit_code == 0
    for options, said in (
        (("--secret-env", "NOBODY"), "it is not set"),
        (("--secret-file", "nobody"), "cannot be read from nobody: No such file"),
        (("--secret-file", "empty"), "it is empty"),
        (("--secret-file", "other", "--secret-env", "HOOK"), "Say either"),
    ):
        refused = verify(signature, *options)
        assert refused.exit_code != 0
        assert said in refused.output


def test_what_is_signed_and_is_no_event_is_told(verify: Verify) -> None:
    Path("body").write_bytes(b"{}")
    Path("secret").write_text("sesame", encoding="utf-8")
    refused = verify(sign(b"{}", "sesame"))
    assert (refused.exit_code, refused.output) == (1, "Verified, but no event: the body has no `event`.\n")
