"""A draft as YAML: with the comments that its owner will want when editing it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from glossi_sync.drafting.drafting import Catalogue, Draft, Product

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 ._/()+-]*(?<! )", re.ASCII)
_MEANS_SOMETHING = frozenset(("true", "false", "yes", "no", "on", "off", "y", "n", "null"))


def draft_text(draft: Draft, templates: Sequence[str]) -> str:
    """The spec's text. ``templates`` are the names of those that there are, for a comment."""
    return "\n".join((*_head(draft, templates), *_products(draft.products), *_catalogues(draft.catalogues), *_foot()))


def _head(draft: Draft, templates: Sequence[str]) -> Iterator[str]:
    yield "# What should exist: models, each in a project on a template, and its renders. `glossi-sync plan` says what"
    yield "# would be made, `glossi-sync apply` makes it. Edit it as you like; keys can be renamed at no cost."
    yield "version: 1"
    yield f"workspace: {_scalar(draft.workspace)}  # names the state: state/WORKSPACE@SERVICE.db beside this file"
    yield ""
    yield "service:"
    yield "  endpoint: local  # the studio on this machine: no account, no key, real pictures"
    yield "  # The hosted service, once the pictures please; it has a state of its own:"
    yield "  # endpoint: https://api.glossi.app/api/v1"
    yield "  # apiKey: ${env:GLOSSI_API_KEY}"
    yield ""
    yield "# Light, backdrop and cameras. `glossi-sync templates` lists what the service has."
    if templates:
        yield f"# The studio has {', '.join(templates)}."
    yield "templates:"
    yield from (f"  {_scalar(key)}: {{name: {_scalar(name)}}}" for key, name in draft.templates.items())
    yield ""
    yield "renderSettings:"
    yield "  web: {renderShots: false, imageQuality: 1}  # a picture from each camera; 0 = 720p, 1 = 1080p, 2 = 4K"
    yield "  # film: {renderBookmarks: false, videoQuality: 1, videoResolution: 1}  # videos"
    yield ""


def _products(products: Sequence[Product]) -> Iterator[str]:
    if not products:
        return
    yield "models:"
    for one in products:
        yield f"  {_scalar(one.key)}: {{name: {_scalar(one.name)}, file: {_scalar(one.file)}}}"
    yield ""
    yield "projects:"
    for one in products:
        key = _scalar(one.key)
        yield f"  {_scalar(one.key)}: {{models: [{key}], template: {_scalar(one.template)}, renders: [web]}}"
    yield ""


def _catalogues(catalogues: Sequence[Catalogue]) -> Iterator[str]:
    if not catalogues:
        return
    yield "# A model and a project for each file that a pattern finds: a new file is a new product. The named parts of"
    yield "# a pattern are the columns of its rows; a CSV file can take its place (rows: products.csv)."
    yield "catalogues:"
    for one in catalogues:
        yield f"  - rows: {_quoted(one.pattern)}"
        yield f"    key: {one.key}"
        yield '    model: {name: "${row.sku}", file: "${row.path}"}'
        template = f'"{one.template}"' if "$" in one.template else _scalar(one.template)
        yield f"    project: {{template: {template}, renders: [web]}}"
    yield ""


def _foot() -> Iterator[str]:
    yield "# Finished renders are brought home."
    yield "downloads:"
    yield "  to: renders"
    yield '  path: "{project}/{settings}/{name}.{ext}"'
    yield ""
    yield "# Be told when a render is done:"
    yield "# webhook:"
    yield "#   url: https://shop.example/hooks/glossi"
    yield "#   events: [render.complete, render.failed]"
    yield ""


def _scalar(text: str) -> str:
    """A text as YAML, plain where nobody could read it as anything else."""
    plain = _PLAIN.fullmatch(text) is not None and text.lower() not in _MEANS_SOMETHING
    return text if plain else _quoted(text)


def _quoted(text: str) -> str:
    """A text in double quotes, what YAML cannot show as an escape; ``${`` stands for itself."""
    return '"' + "".join(map(_character, text.replace("${", "$${"))) + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    return f"\\U{ord(character):08x}"
