"""The service: can it be reached, is the time the same there, does it take the key, has it the templates?"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies

from glossi_sync.diagnosing.finding import Finding, Level, note, ok, problem
from glossi_sync.errors import UserError
from glossi_sync.resources import Template, UnresolvedTemplate, resolve_template
from glossi_sync.service import Endpoint, Glossi, Patience, StoredWebhook, Unauthorized
from glossi_sync.spec import Spec

_SECONDS = 10.0
_PATIENCE = Patience(total=4.0, first_contact=1.0)
_SKEW_NOTE, _SKEW_PROBLEM = 30.0, 300.0
"""Seconds. Signed URLs are good for an hour, and buckets refuse what is signed a quarter of an hour off."""


def hosted(spec: Spec, now: Callable[[], float]) -> Iterator[Finding]:
    """All about a service elsewhere, as far as one gets. Asks only what changes nothing."""
    endpoint = Endpoint.parse(spec.service.endpoint)
    reached = list(_reach(endpoint, now))
    yield from reached
    key = spec.service.api_key
    if key is None:
        advice = "export GLOSSI_API_KEY=…, or service.apiKey: ${env:NAME} in the spec."
        yield problem("API key", "there is none, and the service asks for one", advice)
        return
    if any(one.level is Level.PROBLEM for one in reached):
        return
    try:
        found, webhook = asyncio.run(_ask(endpoint, key, webhook=spec.webhook is not None))
    except Unauthorized as error:
        yield problem("API key", f"the service does not take it: {error.happened}", error.advice)
    except UserError as error:
        yield problem("API key", f"whether the service takes it cannot be told: {error}")
    else:
        yield ok("API key", "the service takes it")
        yield from templates(spec, found)
        yield from _webhook(spec, webhook)


def templates(spec: Spec, known: tuple[Template, ...]) -> Iterator[Finding]:
    """Whether each template that a project names is one of ``known``."""
    used = sorted({project.template for project in spec.projects.values()})
    wrong = False
    for key in used:
        try:
            resolve_template(spec.templates[key], known)
        except UnresolvedTemplate as error:
            wrong = True
            yield problem("templates", f"templates.{key}: {error}", "`glossi-sync templates` lists what there is.")
    if used and not wrong:
        yield ok("templates", f"{len(used)} of {len(known)} used: {', '.join(used)}")


def receiver(spec: Spec) -> Iterator[Finding]:
    """Whether the webhook's host answers at all; nothing is sent to it."""
    if spec.webhook is None:
        return
    url = urlsplit(spec.webhook.webhook.url)
    host, port = url.hostname or "", url.port or {"http": 80}.get(url.scheme, 443)
    try:
        with socket.create_connection((host, port), timeout=_SECONDS):
            yield ok("webhook", f"{host}:{port} takes connections from here")
    except OSError as error:
        yield note(
            "webhook",
            f"{host}:{port} does not take connections from here: {error.strerror or error}",
            "It is the service that must reach it, not this machine; deliveries that fail three times are given up.",
        )


def _reach(endpoint: Endpoint, now: Callable[[], float]) -> Iterator[Finding]:
    import httpx  # noqa: PLC0415 - 80 ms, which a doctor without a service need not pay

    url = urlsplit(endpoint.origin)
    host, proxied = url.hostname or "", bool(getproxies().keys() & {url.scheme, "all"}) and not endpoint.loopback
    if not proxied:
        try:
            socket.getaddrinfo(host, url.port or 443)
        except OSError as error:
            advice = "Check service.endpoint (or GLOSSI_ENDPOINT) for a slip, and this machine's DNS."
            yield problem("endpoint", f"the name {host} cannot be resolved: {error.strerror or error}", advice)
            return
    try:
        answer = httpx.get(endpoint.base, timeout=_SECONDS, trust_env=not endpoint.loopback, follow_redirects=False)
    except httpx.HTTPError as error:
        yield _unreached(endpoint, error, proxied=proxied)
        return
    how = "over TLS" if url.scheme == "https" else "unencrypted"
    yield ok("endpoint", f"{endpoint.origin} answers ({how}, {answer.elapsed.total_seconds() * 1000:.0f} ms)")
    yield from _clock(answer.headers.get("date"), now())


def _unreached(endpoint: Endpoint, error: Exception, *, proxied: bool) -> Finding:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            advice = (
                "Check the address, the clock, and that this machine knows the issuer (SSL_CERT_FILE names others)."
            )
            return problem("endpoint", f"{endpoint.origin}: TLS failed: {cause.reason or cause}", advice)
        cause = cause.__cause__ or cause.__context__
    by_way = " by way of the environment's proxy" if proxied else ""
    advice = "Check the address and port, the network and its firewall."
    return problem("endpoint", f"{endpoint.origin} cannot be reached{by_way}: {error or type(error).__name__}", advice)


def _clock(date: str | None, now: float) -> Iterator[Finding]:
    there = None
    with suppress(TypeError, ValueError):
        there = parsedate_to_datetime(date or "").timestamp()
    if there is None:
        yield note("clock", "the service does not tell its time")
        return
    skew = now - there
    told = f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the service's"
    advice = "Set the clock by NTP: upload URLs and bucket signatures go by it."
    if abs(skew) > _SKEW_PROBLEM:
        yield problem("clock", told, advice)
    elif abs(skew) > _SKEW_NOTE:
        yield note("clock", told, advice)
    else:
        yield ok("clock", "agrees with the service's")


async def _ask(endpoint: Endpoint, key: str, *, webhook: bool) -> tuple[tuple[Template, ...], StoredWebhook | None]:
    async with Glossi(endpoint, key, patience=_PATIENCE) as service:
        return await service.templates(), await service.get_webhook() if webhook else None


def _webhook(spec: Spec, stored: StoredWebhook | None) -> Iterator[Finding]:
    if spec.webhook is None:
        return
    wanted = spec.webhook.webhook
    if stored is None:
        yield note("webhook", "the service has none yet", "The next apply sets it.")
    elif (stored.url, frozenset(stored.events)) != (wanted.url, frozenset(wanted.events)):
        yield note("webhook", "the service has another than the spec's", "The next apply sets it.")
    elif not stored.enabled:
        yield note("webhook", "it is set at the service, and switched off")
    else:
        yield ok("webhook", "it is set at the service")
