"""What stands on the report's page: products, what they are made of, how far they are, and where their files lie.

A product is a project with its models and renders; a model that no project is made from stands alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from glossi_sync.applying import Previous
from glossi_sync.resources import LIFECYCLES, Kind, Phase
from glossi_sync.state import Download, Object, Realised, RenderedFile, Run

COMPLETE, CHANGED, BUSY, HELD, FAILED = "complete", "changed", "in progress", "held", "failed"
"""How a product stands. ``changed`` is complete, and shows what it was before."""

_FIRST = (FAILED, HELD, BUSY, CHANGED, COMPLETE)
"""What a reader looks for comes first; and stays, where a page is cut."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What of the state a page is made from: ``State.inputs``, ``.files``, ``.downloads``, ``.runs`` (newest first)."""

    inputs: Callable[[Iterable[int]], Mapping[int, Mapping[str, Any]]]
    files: Callable[[Iterable[int]], Mapping[int, Sequence[RenderedFile]]]
    downloads: Mapping[str, Download]
    runs: Sequence[Run]
    folder: Path | None
    """Where finished files are brought; None where they are not."""
    previous: Previous = field(default_factory=Previous)


@dataclass(frozen=True, slots=True)
class File:
    """A picture or video: ``path`` where it lies, ``before`` where what it replaced lies; None where it does not."""

    name: str
    file_type: str
    is_video: bool
    path: Path | None
    before: Path | None


@dataclass(frozen=True, slots=True)
class Part:
    """A model, or a render with its files. ``phase`` is its object's, ``held`` where a call for it is in doubt."""

    address: str
    label: str
    phase: str
    status: str
    since: float
    error: str | None = None
    attempts: int = 0
    run: Run | None = None
    """The run in which it came so far."""
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """A project, or a model without one."""

    address: str
    label: str
    status: str
    template: str | None
    models: tuple[Part, ...]
    renders: tuple[Part, ...]

    def parts(self) -> Iterator[Part]:
        """Its models and renders."""
        yield from self.models
        yield from self.renders


@dataclass(frozen=True, slots=True)
class Page:
    """All that stands on the page. ``untouched`` products are left out of a run's page."""

    workspace: str
    service: str
    at: float
    products: tuple[Product, ...]
    runs: tuple[Run, ...]
    run: Run | None = None
    untouched: int = 0

    def counts(self) -> Mapping[str, int]:
        """How many products stand how, the troubled first."""
        counted = Counter(product.status for product in self.products)
        return {status: counted[status] for status in _FIRST if counted[status]}

    def files(self) -> int:
        """How many pictures and videos there are."""
        return sum(len(render.files) for product in self.products for render in product.renders)


def page_of(workspace: str, service: str, realised: Realised, memory: Memory, *, at: float) -> Page:
    """The page of everything that is bound now."""
    products = _products(realised, memory)
    return Page(workspace, service, at, _in_order(products), tuple(memory.runs))


def page_of_run(
    workspace: str,
    service: str,
    run: Run,
    realised: Realised,
    memory: Memory,
    *,
    left: Mapping[str, int],
    found: Mapping[str, int],
    at: float,
) -> Page:
    """The page of what one run has touched. ``left`` are the bindings that it left, ``found`` those that it found."""
    then = Realised(realised.objects, left)
    changed = {address for address, oid in left.items() if found.get(address) != oid}
    ended = run.started if run.ended is None else run.ended

    def is_touched(part: Part) -> bool:
        return part.address in changed or run.started <= part.since <= ended

    products = _products(then, memory)
    touched = [one for one in products if one.address in changed or any(map(is_touched, one.parts()))]
    return Page(workspace, service, at, _in_order(touched), (run,), run, untouched=len(products) - len(touched))


def _in_order(products: Iterable[Product]) -> tuple[Product, ...]:
    return tuple(sorted(products, key=lambda one: (_FIRST.index(one.status), one.address)))


def _products(realised: Realised, memory: Memory) -> list[Product]:
    reader = _Reader(realised, memory)
    renders: dict[str, list[str]] = {}
    for address in sorted(realised.bindings):
        if address.startswith(f"{Kind.RENDER}."):
            key = address.removeprefix(f"{Kind.RENDER}.").rpartition("/")[0]
            renders.setdefault(f"{Kind.PROJECT}.{key}", []).append(address)
    projects = {one for one in realised.bindings if one.startswith(f"{Kind.PROJECT}.")}
    products = [reader.project(address, renders.get(address, ())) for address in sorted(projects | renders.keys())]
    used = {model.address for product in products for model in product.models}
    models = {one for one in realised.bindings if one.startswith(f"{Kind.MODEL}.")}
    return products + [reader.lone_model(address) for address in sorted(models - used)]


class _Reader:
    """Makes products of what is bound; what is asked of the state is asked once, for all."""

    def __init__(self, realised: Realised, memory: Memory) -> None:
        self._realised = realised
        self._memory = memory
        bound = [one for one in map(realised.bound, realised.bindings) if one is not None]
        self._inputs = memory.inputs([one.oid for one in bound if one.kind is Kind.PROJECT])
        self._files = memory.files([one.oid for one in bound if one.kind is Kind.RENDER])
        self._addresses = {oid: address for address, oid in realised.bindings.items()}
        self._paths = {one.render_id: path for path, one in memory.downloads.items()}
        self._held = {
            subject.address for intent in realised.in_doubt for subject in intent.subjects if intent.step == "start"
        }

    def project(self, address: str, renders: Iterable[str]) -> Product:
        """A project with its models and renders."""
        one = self._realised.bound(address)
        oids = one.parents if one is not None else ()
        models = tuple(self._part(self._addresses.get(oid, "a model"), self._realised.objects.get(oid)) for oid in oids)
        # A held render has no object, and so no binding.
        wanted = {*renders, *(held for held in self._held if held.startswith(f"render.{_key(address)}/"))}
        parts = tuple(self._render(render) for render in sorted(wanted))
        label = (one.label if one is not None else None) or ", ".join(dict.fromkeys(m.label for m in models))
        template = self._inputs.get(one.oid, {}).get("template") if one is not None else None
        name = template.get("name") if isinstance(template, Mapping) else None
        return Product(address, label or _key(address), _status(models, parts), name, models, parts)

    def lone_model(self, address: str) -> Product:
        """A model that no project is made from."""
        model = self._part(address, self._realised.bound(address))
        return Product(address, model.label, _status((model,), ()), None, (model,), ())

    def _render(self, address: str) -> Part:
        one = self._realised.bound(address)
        part = self._part(address, one, label=address.rpartition("/")[2])
        if one is None:
            return part
        files = tuple(map(self._file, self._files.get(one.oid, ())))
        status = CHANGED if part.status == COMPLETE and any(file.before for file in files) else part.status
        return replace(part, status=status, files=files)

    def _part(self, address: str, one: Object | None, *, label: str | None = None) -> Part:
        held = address in self._held
        if one is None:
            return Part(address, label or _key(address), HELD if held else "unknown", HELD if held else BUSY, 0.0)
        complete = one.phase is LIFECYCLES[one.kind].complete
        failed = one.phase in (Phase.FAILED, Phase.LOST)
        status = FAILED if failed else HELD if held else COMPLETE if complete else BUSY
        run = next((run for run in self._memory.runs if run.started <= one.since <= (run.ended or one.since)), None)
        return Part(
            address,
            label or one.label or _key(address),
            HELD if held and not failed else one.phase.value,
            status,
            one.since,
            one.error,
            one.attempts,
            run,
        )

    def _file(self, file: RenderedFile) -> File:
        memory = self._memory
        path = self._paths.get(file.id)
        home = memory.folder / path if memory.folder is not None and path is not None else None
        lies = home if home is not None and home.is_file() else memory.previous.itself(file.id)
        return File(file.name, file.file_type, file.is_video, lies, memory.previous.before(file.id))


def _status(models: Sequence[Part], renders: Sequence[Part]) -> str:
    found = {part.status for part in (*models, *renders)}
    return next((status for status in _FIRST if status in found), COMPLETE)


def _key(address: str) -> str:
    return address.partition(".")[2]
