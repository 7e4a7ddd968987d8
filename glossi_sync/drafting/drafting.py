"""What a first spec says of the models that were found. Pure: paths in, a draft out.

Few models are written down one by one, many as catalogues: a pattern that finds them, from whose parts come their keys.
Where folders are named like templates, they choose them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from glossi_sync.drafting.finding import Found
from glossi_sync.resources.address import KEY_PATTERN
from glossi_sync.spec.filters import slug

FEW = 30
"""The most models that are written down one by one."""
_MANY_PATTERNS = 8
"""More catalogues than this say less than a list does."""
_KEY = re.compile(KEY_PATTERN)


@dataclass(frozen=True, slots=True)
class Product:
    """One model that is written down: its key, its name, its file, and the key of its template."""

    key: str
    name: str
    file: str
    template: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Models that a pattern finds; ``template`` is a template's key, or the text that makes one of a folder's name."""

    pattern: str
    key: str
    template: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Which templates there are to choose from, by name: the one for a model whose folder chooses none, and those that
    folders may choose."""

    otherwise: str
    by_folder: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A spec, before it is spelled. ``templates`` maps keys to names; there are either products or catalogues."""

    workspace: str
    templates: Mapping[str, str]
    products: tuple[Product, ...] = ()
    catalogues: tuple[Catalogue, ...] = ()


def draft(found: Found, choice: Choice, workspace: str) -> Draft:
    """Decide what the spec says; ``workspace`` is a text that its name is made from, such as a folder's name."""
    named = workspace if _KEY.fullmatch(workspace) else slug(workspace)
    named = named[:100] or "catalogue"
    if len(found.files) > FEW:
        templates = _Templates(choice)
        catalogues = _catalogues(found, templates)
        if catalogues:
            return Draft(named, templates.used, catalogues=catalogues)
    templates = _Templates(choice)
    return Draft(named, templates.used, products=tuple(_products(found, templates)))


class _Templates:
    """Templates by folder, and which of them are used: key -> name."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self.used: dict[str, str] = {}

    def otherwise(self) -> str:
        """The key of the template for those whose folder chooses none."""
        return self.use(slug(self._choice.otherwise) or "template", self._choice.otherwise)

    def use(self, key: str, name: str) -> str:
        self.used[key] = name
        return key

    def above(self, path: str, *, by_a_word: bool = False) -> str:
        """The key of the template that the nearest folder of a path is named like; else that of all others."""
        for folder in reversed(_folders(path)):
            if (name := self.named(folder, by_a_word=by_a_word)) is not None:
                return self.use(slug(folder), name)
        return self.otherwise()

    def named(self, folder: str, *, by_a_word: bool = False) -> str | None:
        """The template that a folder is named like: wholly, or ``by_a_word`` by its name's first or last word alone."""
        word = slug(folder)
        for name in self._choice.by_folder:
            if slug(name) == word:
                return name
        words = {name: slug(name).split("-") for name in self._choice.by_folder}
        alike = [name for name in words if word in (words[name][0], words[name][-1])]
        return alike[0] if by_a_word and len(alike) == 1 else None


# --- one by one ------------------------------------------------------------------------------------------------------


def _products(found: Found, templates: _Templates) -> Iterator[Product]:
    paths = [_below(file, found.root) for file in found.files]
    by_a_word = all(any(templates.named(one, by_a_word=True) for one in _folders(path)) for path in paths)
    for file, path, key in zip(found.files, paths, _keys(found.files), strict=True):
        yield Product(key, _name(file), file, templates.above(path, by_a_word=by_a_word))


def _keys(files: Sequence[str]) -> list[str]:
    """A key for each file, no two alike even where letter case does not count: of its name, or where that is not
    enough, of its folder's name too, of its whole path, or with a number.
    """
    spellings: tuple[Callable[[PurePosixPath], str], ...] = (
        lambda path: path.stem if _KEY.fullmatch(path.stem) else slug(path.stem),
        lambda path: slug("-".join((*path.parts[-2:-1], path.stem))),
        lambda path: slug(str(path)),
    )
    paths = [PurePosixPath(file) for file in files]
    keys = [""] * len(files)
    open_ones = list(range(len(files)))
    taken: set[str] = set()
    for spell in spellings:
        tried = {index: spell(paths[index]) or "model" for index in open_ones}
        counts = Counter(key.casefold() for key in tried.values())
        for index, key in tried.items():
            if counts[key.casefold()] == 1 and key.casefold() not in taken:
                keys[index] = key
        taken |= {keys[index].casefold() for index in open_ones if keys[index]}
        open_ones = [index for index in open_ones if not keys[index]]
    for index in open_ones:
        spelled = spellings[0](paths[index]) or "model"
        number = 1
        while (key := spelled if number == 1 else f"{spelled}-{number}").casefold() in taken:
            number += 1
        keys[index] = key
        taken.add(key.casefold())
    return keys


def _name(file: str) -> str:
    """``models/desk_lamp.glb`` is a Desk Lamp; what has capital letters already is left as it is written."""
    words = re.sub(r"[\s_]+|(?<=\w)-(?=\w)", " ", PurePosixPath(file).stem).strip() or PurePosixPath(file).name
    return " ".join(word[:1].upper() + word[1:] for word in words.split(" ")) if words == words.lower() else words


# --- by pattern ------------------------------------------------------------------------------------------------------


def _catalogues(found: Found, templates: _Templates) -> tuple[Catalogue, ...]:
    """Catalogues that find just these files, with keys that are unique; none where patterns cannot do that."""
    if any(sign in file for file in found.files for sign in ("{", "}", "*", "?")):
        return ()  # a pattern means something else by these
    patterns = list(_patterns(found, templates))
    if len(patterns) > _MANY_PATTERNS:
        return ()
    for key, spell in (
        ("${row.sku}", lambda path: path.stem),
        ("${row.sku|slug}", lambda path: slug(path.stem)),
        ("${row.path|slug}", lambda path: slug(str(path))),
    ):
        keys = {spell(PurePosixPath(file)) for file in found.files}
        if len({one.casefold() for one in keys}) == len(found.files) and all(map(_KEY.fullmatch, keys)):
            return tuple(Catalogue(pattern, key, template) for pattern, template in patterns)
    return ()


def _patterns(found: Found, templates: _Templates) -> Iterator[tuple[str, str]]:
    """Patterns, each with its template: one for all of the files with a suffix, if that can be."""
    common = _common(found.files)
    routed = _routed(found, templates, common)
    if routed is not None:
        yield from routed
        return
    for folder, files in _groups(found, common):
        template = templates.above(_below(f"{folder}/", found.root))
        yield from ((pattern, template) for pattern in _tails(files, folder))


def _groups(found: Found, common: str) -> list[tuple[str, list[str]]]:
    """Folders, and the files that a pattern in each is to find: one folder, if the state does not lie there too."""
    deep = any("/" in _below(file, common) for file in found.files)
    if not (deep and _holds_state(found, common)):
        return [(common, list(found.files))]
    groups = _by_first_folder(found.files, common)
    return [(_common(files) if first else common, files) for first, files in groups.items()]


def _holds_state(found: Found, folder: str) -> bool:
    return found.beside and set(folder.split("/")) <= {"", ".."}


def _routed(found: Found, templates: _Templates, common: str) -> list[tuple[str, str]] | None:
    """Where every file lies in a folder that is named like a template: patterns with a part for that folder."""
    folders = _by_first_folder(found.files, common)
    names = {folder: templates.named(folder, by_a_word=True) for folder in folders}
    deep = any("/" in _below(file, f"{common}/{folder}".strip("/")) for folder in folders for file in folders[folder])
    if None in names.values() or (deep and _holds_state(found, common)):
        return None
    for folder, name in names.items():
        templates.use(slug(folder), str(name))
    part = "${row.template}" if all(folder == slug(folder) for folder in folders) else "${row.template|slug}"
    tail = "{template}/**/{sku}" if deep else "{template}/{sku}"
    return [(_join(common, f"{tail}{suffix}"), part) for suffix in _suffixes(found.files)]


def _by_first_folder(files: Sequence[str], common: str) -> dict[str, list[str]]:
    """The files by the first folder below ``common`` that each lies in; empty for those in ``common`` itself."""
    folders: dict[str, list[str]] = {}
    for file in files:
        first, *rest = _below(file, common).split("/")
        folders.setdefault(first if rest else "", []).append(file)
    return folders


def _tails(files: Sequence[str], common: str) -> list[str]:
    deep = any("/" in _below(file, common) for file in files)
    return [_join(common, f"{'**/' if deep else ''}{{sku}}{suffix}") for suffix in _suffixes(files)]


def _suffixes(files: Sequence[str]) -> list[str]:
    """The suffixes as they are written: a pattern tells ``.glb`` from ``.GLB``."""
    return sorted({PurePosixPath(file).suffix for file in files})


def _common(files: Sequence[str]) -> str:
    """The folder that all files lie in or below; empty for the spec's own."""
    parents = [PurePosixPath(file).parts[:-1] for file in files]
    shared = []
    for names in zip(*parents, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return str(PurePosixPath(*shared)) if shared else ""


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}" if folder else name


def _below(file: str, folder: str) -> str:
    return file[len(folder) :].lstrip("/") if folder else file


def _folders(path: str) -> list[str]:
    return path.split("/")[:-1]
