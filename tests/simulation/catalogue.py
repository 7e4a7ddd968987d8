"""The user's side: a spec and the files that it names, and the edits that people make to them between two runs."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from glossi_sync.resources import EVENTS

ENDPOINT = "https://studio.test/api/v1"
TEMPLATES = ("Studio Light", "Outdoor Scene", "Dark Luxe")
MOST_MODELS = 6
MOST_RENDERS = 8

Edit = Callable[["Catalogue"], str | None]
"""Makes one edit and says which, or None where the spec has nothing to make it to."""


class Catalogue:
    """A spec and its model files in a folder. ``document`` is the spec; ``contents`` is what each file holds now."""

    def __init__(self, folder: Path, rng: Random) -> None:
        self.folder = folder
        self.path = folder / "glossi.yaml"
        self.rng = rng
        self.contents: dict[str, int] = {}
        self._past: dict[str, list[int]] = {}
        self._versions: list[dict[str, Any]] = []
        self._made = 0
        self._written = 0
        self.document: dict[str, Any] = {
            "version": 1,
            "workspace": "simulated",
            "retries": rng.choice((0, 1, 2, 2)),
            "service": {"endpoint": ENDPOINT, "apiKey": "glsi_simulated"},
            "models": {},
            "templates": {"studio": {"name": TEMPLATES[0]}, "other": {"name": TEMPLATES[1]}},
            "renderSettings": {"web": {"renderShots": False}, "film": {"renderBookmarks": False}},
            "projects": {},
        }
        for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 3, 6))):
            add_product(self)
        if rng.random() < 0.3:
            edit_webhook(self)

    def save(self) -> None:
        """Write the spec where the reconciler will read it: JSON is YAML."""
        self._versions.append(copy.deepcopy(self.document))
        self.path.write_text(json.dumps(self.document), encoding="utf-8")

    def edit(self) -> str:
        """Make one edit; answers which."""
        while True:
            said = self.rng.choice(EDITS)(self)
            if said is not None:
                return said

    def put_file(self, file: str, content: int) -> None:
        """Give a file a content, with a modification time of its own that lies well in the past."""
        path = self.folder / file
        path.write_bytes(content_of(content))
        self._written += 1
        os.utime(path, ns=(10**18, 10**18 + self._written))
        self.contents[file] = content
        self._past.setdefault(file, []).append(content)

    def new_content(self) -> int:
        self._made += 1
        return self._made

    def past_contents(self, file: str) -> list[int]:
        return [content for content in self._past[file] if content != self.contents[file]]

    def some(self, section: str) -> str | None:
        """One of a section's keys, if there is any."""
        keys = list(self.document[section])
        return self.rng.choice(keys) if keys else None

    def renders(self) -> int:
        """How many renders the spec asks for."""
        return sum(
            len(project.get("renders", ())) * (len(project["models"]) if project.get("createPerModel") else 1)
            for project in self.document["projects"].values()
        )

    def earlier(self) -> dict[str, Any] | None:
        """The spec as it was at some time before."""
        return copy.deepcopy(self.rng.choice(self._versions)) if self._versions else None


def content_of(number: int) -> bytes:
    return b"content %d\n" % number


def sha256_of(number: int) -> str:
    return hashlib.sha256(content_of(number)).hexdigest()


def add_product(catalogue: Catalogue) -> str | None:
    document, rng = catalogue.document, catalogue.rng
    if len(document["models"]) >= MOST_MODELS or catalogue.renders() >= MOST_RENDERS:
        return None
    number = catalogue.new_content()
    key = f"m{number}"
    file = f"f{number}.{rng.choice(('obj', 'obj', 'stl'))}"
    same = rng.choice(list(catalogue.contents.values())) if catalogue.contents and rng.random() < 0.15 else None
    catalogue.put_file(file, catalogue.new_content() if same is None else same)
    document["models"][key] = {"file": file}
    if rng.random() < 0.4:
        document["models"][key]["name"] = f"Product {number}"
    project: dict[str, Any] = {"models": [key], "template": rng.choice(("studio", "studio", "other"))}
    if rng.random() < 0.3:
        project["name"] = f"Picture of {number}"
    project["renders"] = {"web": None} if rng.random() < 0.7 else {"web": None, "film": None}
    document["projects"][f"p{number}"] = project
    return f"add {key} and p{number}"


def remove_model(catalogue: Catalogue) -> str | None:
    document = catalogue.document
    key = catalogue.some("models")
    if key is None or len(document["models"]) == 1:
        return None
    del document["models"][key]
    for name, project in list(document["projects"].items()):
        project["models"] = [one for one in project["models"] if one != key]
        if not project["models"]:
            del document["projects"][name]
    return f"remove {key}"


def remove_project(catalogue: Catalogue) -> str | None:
    key = catalogue.some("projects")
    if key is None:
        return None
    del catalogue.document["projects"][key]
    return f"remove {key}"


def add_project(catalogue: Catalogue) -> str | None:
    """A second project of the same model, often like the first one."""
    document, rng = catalogue.document, catalogue.rng
    key = catalogue.some("models")
    if key is None or catalogue.renders() >= MOST_RENDERS:
        return None
    name = f"p{catalogue.new_content()}"
    document["projects"][name] = {
        "models": [key],
        "template": rng.choice(("studio", "other")),
        "renders": {"web": None},
    }
    return f"add {name} of {key}"


def rename_model(catalogue: Catalogue) -> str | None:
    document = catalogue.document
    key = catalogue.some("models")
    if key is None:
        return None
    new = f"m{catalogue.new_content()}"
    document["models"] = {new if name == key else name: entry for name, entry in document["models"].items()}
    for project in document["projects"].values():
        project["models"] = [new if one == key else one for one in project["models"]]
    return f"rename {key} to {new}"


def rename_project(catalogue: Catalogue) -> str | None:
    document = catalogue.document
    key = catalogue.some("projects")
    if key is None:
        return None
    new = f"p{catalogue.new_content()}"
    document["projects"] = {new if name == key else name: entry for name, entry in document["projects"].items()}
    return f"rename {key} to {new}"


def change_content(catalogue: Catalogue) -> str | None:
    file = catalogue.rng.choice(list(catalogue.contents))
    catalogue.put_file(file, catalogue.new_content())
    return f"change {file}"


def revert_content(catalogue: Catalogue) -> str | None:
    file = catalogue.rng.choice(list(catalogue.contents))
    past = catalogue.past_contents(file)
    if not past:
        return None
    catalogue.put_file(file, catalogue.rng.choice(past))
    return f"revert {file}"


def swap_contents(catalogue: Catalogue) -> str | None:
    if len(catalogue.contents) < 2:
        return None
    one, other = catalogue.rng.sample(list(catalogue.contents), 2)
    was = catalogue.contents[one]
    catalogue.put_file(one, catalogue.contents[other])
    catalogue.put_file(other, was)
    return f"swap the contents of {one} and {other}"


def swap_files(catalogue: Catalogue) -> str | None:
    models = catalogue.document["models"]
    if len(models) < 2:
        return None
    one, other = catalogue.rng.sample(list(models), 2)
    models[one]["file"], models[other]["file"] = models[other]["file"], models[one]["file"]
    return f"swap the files of {one} and {other}"


def rename_label(catalogue: Catalogue) -> str | None:
    section = catalogue.rng.choice(("models", "projects"))
    key = catalogue.some(section)
    if key is None:
        return None
    entry = catalogue.document[section][key]
    if entry.get("createPerModel"):
        return None
    if "name" in entry and catalogue.rng.random() < 0.4:
        del entry["name"]
        return f"leave out the name of {key}"
    entry["name"] = f"Name {catalogue.rng.randrange(4)}"
    return f"call {key} {entry['name']!r}"


def change_revision(catalogue: Catalogue) -> str | None:
    key = catalogue.some("projects")
    renders = catalogue.document["projects"][key].get("renders") if key is not None else None
    if not renders:
        return None
    settings = catalogue.rng.choice(list(renders))
    now = (renders[settings] or {}).get("revision", 1)
    revision = catalogue.rng.choice([one for one in (1, 2, 3) if one != now])
    renders[settings] = {"revision": revision}
    return f"revision {revision} of {key}/{settings}"


def change_settings(catalogue: Catalogue) -> str | None:
    name = catalogue.rng.choice(("web", "film"))
    quality = catalogue.rng.randrange(3)
    catalogue.document["renderSettings"][name]["imageQuality"] = quality
    return f"imageQuality {quality} for {name}"


def toggle_render(catalogue: Catalogue) -> str | None:
    key = catalogue.some("projects")
    if key is None:
        return None
    project = catalogue.document["projects"][key]
    renders = project.get("renders", {})
    name = catalogue.rng.choice(("web", "film"))
    if name in renders:
        del renders[name]
        if not renders:
            del project["renders"]
        return f"no {name} of {key}"
    if catalogue.renders() >= MOST_RENDERS:
        return None
    project["renders"] = {**renders, name: None}
    return f"{name} of {key}"


def toggle_per_model(catalogue: Catalogue) -> str | None:
    key = catalogue.some("projects")
    if key is None or catalogue.renders() >= MOST_RENDERS:
        return None
    project = catalogue.document["projects"][key]
    if project.pop("createPerModel", False):
        return f"one project {key} for all its models"
    project["createPerModel"] = True
    project.pop("name", None)
    return f"a project {key} for each model"


def change_members(catalogue: Catalogue) -> str | None:
    """Add a model to a project, take one out, or put them into another order."""
    rng = catalogue.rng
    key, model = catalogue.some("projects"), catalogue.some("models")
    if key is None or model is None:
        return None
    members = catalogue.document["projects"][key]["models"]
    if model not in members:
        members.insert(rng.randrange(len(members) + 1), model)
    elif len(members) > 1 and rng.random() < 0.5:
        members.remove(model)
    else:
        rng.shuffle(members)
    return f"{key} of {', '.join(members)}"


def change_template(catalogue: Catalogue) -> str | None:
    if catalogue.rng.random() < 0.3:
        name = catalogue.rng.choice(TEMPLATES)
        catalogue.document["templates"]["other"] = {"name": name}
        return f"the template other is {name}"
    key = catalogue.some("projects")
    if key is None:
        return None
    project = catalogue.document["projects"][key]
    project["template"] = "other" if project["template"] == "studio" else "studio"
    return f"{key} on {project['template']}"


def edit_webhook(catalogue: Catalogue) -> str | None:
    rng = catalogue.rng
    if "webhook" in catalogue.document and rng.random() < 0.4:
        del catalogue.document["webhook"]
        return "no webhook"
    catalogue.document["webhook"] = {
        "url": f"https://shop.test/hooks/{rng.randrange(3)}",
        "events": sorted(rng.sample(EVENTS, rng.choice((1, 2, 7)))),
        "enabled": rng.random() < 0.8,
    }
    return "another webhook"


def toggle_names(catalogue: Catalogue) -> str | None:
    names = "keep" if catalogue.document.get("names") == "replace" else "replace"
    catalogue.document["names"] = names
    return f"names: {names}"


def restore(catalogue: Catalogue) -> str | None:
    """The spec as it was some versions ago: a reverted commit."""
    earlier = catalogue.earlier()
    if earlier is None:
        return None
    catalogue.document = earlier
    return "an earlier spec"


EDITS: tuple[Edit, ...] = (
    add_product,
    add_project,
    remove_model,
    remove_project,
    rename_model,
    rename_project,
    rename_project,
    change_content,
    change_content,
    revert_content,
    swap_contents,
    swap_files,
    rename_label,
    change_revision,
    change_settings,
    toggle_render,
    toggle_per_model,
    change_members,
    change_template,
    edit_webhook,
    edit_webhook,
    toggle_names,
    restore,
    restore,
)
