"""The webhook's signature: hex HMAC-SHA256 of a delivery's body (guide, "Verify Webhook Signatures").

The header that carries it is ``X-Glossi-Signature``. Whoever signs uses ``sign`` on the exact bytes that are sent.
The guide's JavaScript signs ``JSON.stringify(payload)`` instead, so ``verify`` tries the raw body first, and then the
body spelled as JavaScript would spell it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterator


def sign(body: bytes, secret: str | bytes) -> str:
    """The signature of ``body``: 64 lower-case hex characters."""
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(key, body, hashlib.sha256).hexdigest()


def verify(body: bytes, signature: str, secret: str | bytes) -> bool:
    """Whether ``signature`` was made of ``body`` with ``secret``; compared in constant time.

    An empty secret verifies nothing.
    """
    return signed_form(body, signature, secret) is not None


def signed_form(body: bytes, signature: str, secret: str | bytes) -> bytes | None:
    """The bytes that ``signature`` was made of: ``body``, or ``body`` as JavaScript would spell it; else None.

    Whoever tells deliveries apart by a hash takes it of these: spaces put into a body that was overheard change the
    body, and neither its meaning nor this.
    """
    if not secret:
        return None
    given = signature.strip().lower().encode("utf-8", "replace")
    return next((form for form in _forms(body) if hmac.compare_digest(given, sign(form, secret).encode())), None)


def stringify(payload: object) -> str:
    """``JSON.stringify(payload)`` of JavaScript: compact, non-ASCII unescaped, its keys' order and its numbers.

    Raises:
        ValueError: ``payload`` holds what is no JSON.
    """
    return "".join(_spelled(payload))


def _forms(body: bytes) -> Iterator[bytes]:
    yield body
    try:
        text = stringify(json.loads(body, parse_constant=_refuse)).encode()
    except (ValueError, RecursionError):
        return
    if text != body:
        yield text


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")


def _spelled(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield "{"
        for place, (key, item) in enumerate(_in_javascript_order(value)):
            yield f"{',' if place else ''}{_text(key)}:"
            yield from _spelled(item)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for place, item in enumerate(value):
            if place:
                yield ","
            yield from _spelled(item)
        yield "]"
    elif isinstance(value, str):
        yield _text(value)
    elif value is None or isinstance(value, bool):
        yield {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, int | float):
        yield _number(value)
    else:
        raise ValueError(f"JSON has no {type(value).__name__}")


_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")


def _in_javascript_order(value: dict[str, object]) -> list[tuple[str, object]]:
    """JavaScript keeps an object's keys in order, save that array indices come first, ascending."""
    indices = {key for key in value if _INDEX.fullmatch(key) and int(key) < 2**32 - 1}
    if not indices:
        return list(value.items())
    ordered = sorted(indices, key=int) + [key for key in value if key not in indices]
    return [(key, value[key]) for key in ordered]


def _text(text: str) -> str:
    """A string as JSON.stringify spells it: lone surrogates escaped, DEL and U+2028 left as they are."""
    spelled = json.dumps(text, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", spelled)


def _number(value: float) -> str:
    """A number as JavaScript's Number::toString spells it; Python's repr gives the same shortest digits.

    What is too large for a double is Infinity there, and JSON.stringify writes that as null.
    """
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        return "null"
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return sign + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    """Significant digits with their decimal point after the ``point``-th, plain or with an exponent, as there."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    power = point - 1
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{tail}e{'+' if power > 0 else '-'}{abs(power)}"
