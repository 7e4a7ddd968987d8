"""The environment's variables: what is set, and what is set in vain. Values that may be secret are not told."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from glossi_sync.diagnosing.finding import Finding, note, ok

_PREFIX = "GLOSSI_"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def environment(variables: Mapping[str, str], known: Collection[str]) -> Iterator[Finding]:
    """The ``GLOSSI_`` variables, of which ``known`` mean something, and the proxies."""
    ours = sorted(name for name in variables if name.startswith(_PREFIX))
    meant = [name for name in ours if name in known and variables[name]]
    if meant:
        yield ok("environment", f"{', '.join(meant)} {'is' if len(meant) == 1 else 'are'} set")
    else:
        yield ok("environment", "no GLOSSI_ variable is set")
    for name in ours:
        if name not in known:
            close = get_close_matches(name, list(known), n=1, cutoff=0.8)
            advice = f"Did you mean {close[0]}?" if close else None
            yield note("environment", f"{name} means nothing to glossi-sync", advice)
        elif not variables[name]:
            yield note("environment", f"{name} is set, but empty", "Unset it, or give it a value.")
    proxies = sorted(name for name in variables if name.lower() in _PROXIES and variables[name])
    if proxies:
        yield note("environment", f"the proxies of {', '.join(proxies)} are between this machine and the service")
