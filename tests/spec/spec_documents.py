"""Valid specs as plain documents, for property tests, and how they are written to files."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from glossi_sync.resources import EVENTS, FILE_TYPES
from glossi_sync.resources.address import KEY_PATTERN

Document = dict[str, Any]

keys = st.from_regex(KEY_PATTERN, fullmatch=True).map(lambda key: key[:12])
names = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="$"), min_size=1, max_size=12)
files = st.builds(lambda stem, suffix: f"models/{stem}.{suffix}", keys, st.sampled_from(FILE_TYPES))
quality = st.integers(0, 2)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    """Mappings with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


models = st.fixed_dictionaries({"file": files}, optional={"name": names, "fileType": st.sampled_from(FILE_TYPES)})
templates = st.one_of(st.fixed_dictionaries({"name": names}), st.fixed_dictionaries({"id": names}))
render_settings = optional(
    renderBookmarks=st.booleans(),
    renderShots=st.booleans(),
    renderVariants=st.booleans(),
    imageQuality=quality,
    videoQuality=quality,
    videoResolution=quality,
).filter(lambda group: group.get("renderBookmarks", True) or group.get("renderShots", True))
webhooks = st.fixed_dictionaries(
    {"url": st.sampled_from(["https://shop.example/hooks", "http://127.0.0.1:8000/"])},
    optional={
        "events": st.lists(st.sampled_from(EVENTS), min_size=1, unique=True),
        "enabled": st.booleans(),
        "description": names,
        "secretFile": st.just("state/secret"),
    },
)
downloads = st.fixed_dictionaries(
    {"to": st.just("renders")},
    optional={
        "path": st.sampled_from(["{project}/{settings}/{name}.{ext}", "{settings}/{project}-{model}-{name}.{ext}"]),
        "from": st.sampled_from(["auto", "s3://bucket/prefix", "https://cdn.example/r"]),
    },
)
services = optional(
    endpoint=st.sampled_from(["local", "https://api.glossi.app/api/v1", "http://127.0.0.1:9000"]),
    apiKey=st.just("glsi_0123456789_abcdef"),
    allowHttp=st.booleans(),
)


@st.composite
def _projects(draw: st.DrawFn, known: Document) -> Document:
    project: Document = {
        "models": draw(st.lists(st.sampled_from(sorted(known["models"])), min_size=1, max_size=3, unique=True)),
        "template": draw(st.sampled_from(sorted(known["templates"]))),
    }
    if draw(st.booleans()):
        project["createPerModel"] = draw(st.booleans())
    if not project.get("createPerModel") and draw(st.booleans()):
        project["name"] = draw(names)
    renders = draw(st.lists(st.sampled_from(sorted(known["renderSettings"])), max_size=2, unique=True))
    if renders and draw(st.booleans()):
        revisions = st.one_of(st.none(), st.just({}), st.builds(lambda count: {"revision": count}, st.integers(1, 9)))
        project["renders"] = {key: draw(revisions) for key in renders}
    elif renders:
        project["renders"] = renders
    return project


@st.composite
def documents(draw: st.DrawFn, *, min_projects: int = 0) -> Document:
    """Valid documents with every section, a few entries each."""
    document: Document = {
        "version": 1,
        "workspace": draw(keys),
        "models": draw(st.dictionaries(keys, models, min_size=1, max_size=4)),
        "templates": draw(st.dictionaries(keys, templates, min_size=1, max_size=2)),
        "renderSettings": draw(st.dictionaries(keys, render_settings, min_size=1, max_size=3)),
    }
    document["projects"] = draw(st.dictionaries(keys, _projects(document), min_size=min_projects, max_size=3))
    rest = optional(
        names=st.sampled_from(["keep", "replace"]),
        retries=st.integers(0, 20),
        service=services,
        webhook=webhooks,
        downloads=downloads,
    )
    return {**document, **draw(rest)}


class _Quoting(yaml.SafeDumper):
    """Writes block style with every text quoted, since PyYAML leaves bare what YAML 1.2 takes for numbers (1e3)."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def as_block(document: Any) -> str:
    """The document as YAML in block style."""
    return yaml.dump(document, Dumper=_Quoting, sort_keys=False, allow_unicode=True)


def as_json(document: Any) -> str:
    """The document as JSON, which is YAML too."""
    return json.dumps(document, ensure_ascii=False)


def shuffled(value: Any, seed: random.Random) -> Any:
    """The same value with the keys of every mapping in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(part, seed)) for key, part in value.items()]
        seed.shuffle(items)
        return dict(items)
    return [shuffled(part, seed) for part in value] if isinstance(value, list) else value


def written(folder: Path, text: str, name: str = "glossi.yaml") -> Path:
    """A spec's file with a text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
