"""YAML into plain values that know where they stand, at the speed of libyaml's events.

Nodes are never made: PyYAML's events are turned into mappings and lists directly, and the place of each key and value
is packed into one 64-bit number of an array. Scalars are read as YAML 1.1 and 1.2 both read them; what the two would
read differently (``no``, ``0o17``, a date) becomes a ``Misread``, which fits no field, so that the user is told to
quote it.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from glossi_sync.spec.variables import Substituted

MAX_BYTES = 1 << 26
"""The largest spec file, 64 MiB: lines and columns then fit into 26 bits each."""
MAX_FILES = 1 << 12
"""The most files of one spec: a file's number then fits into 12 bits."""
MAX_DEPTH = 32

_BEGINS = "a spec starts with 'version: 1' and 'workspace: NAME'"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRING_TAGS = ("!", "tag:yaml.org,2002:str")
_COLLECTION_TAGS = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
# Only a plain scalar that starts with one of these can be anything but text (YAML 1.1's resolver table).
_SUSPECTS = frozenset("~nNtTfFyYoO0123456789+-.=")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(
    r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(:[0-5]?[0-9])*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"
    r"|\.[0-9][0-9_]*([eE][-+]?[0-9]+)?|\.(inf|Inf|INF))|\.(nan|NaN|NAN)"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(([Tt]|[ \t]+)[0-9:.]+.*)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MISREAD = (
    (re.compile("yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF"), "true or false"),
    (_DATE, "a date"),
    (_NUMBER, "a number"),
    (re.compile("="), "a default value"),
)


class Place(NamedTuple):
    """Where something stands: the number of its file among the spec's, line and column from 1."""

    file: int
    line: int
    column: int


class Misread:
    """An unquoted scalar that is not the text it looks like, or not to every reader of YAML."""

    __slots__ = ("reading", "written")

    def __init__(self, written: str, reading: str) -> None:
        self.written = written
        self.reading = reading


class Map(dict[str, Any]):
    """A mapping of the spec; ``marks`` holds the packed places of key and value, two for each key in its order."""

    __slots__ = ("_index", "marks")

    def __init__(self) -> None:
        super().__init__()
        self.marks = array("Q")
        self._index: dict[str, int] = {}

    def put(self, key: str, value: Any, key_mark: int, value_mark: int) -> None:
        """Add a key that is not there yet."""
        self[key] = value
        self.marks.append(key_mark)
        self.marks.append(value_mark)

    def marks_of(self, key: str) -> tuple[int, int]:
        """The packed places of a key and of its value."""
        if len(self._index) != len(self):
            self._index = {name: index for index, name in enumerate(self)}
        index = 2 * self._index[key]
        return self.marks[index], self.marks[index + 1]

    def copy_from(self, other: Map, key: str) -> None:
        """Add another mapping's key and value, with the places that they have there."""
        self.put(key, other[key], *other.marks_of(key))


class Seq(list[Any]):
    """A list of the spec; ``marks`` holds the packed place of each item."""

    __slots__ = ("marks",)

    def __init__(self) -> None:
        super().__init__()
        self.marks = array("Q")


class Parsed(NamedTuple):
    """One file, read. ``root`` is None where nothing can be said of its content; ``variables`` are the texts in which
    a variable could not be replaced, or is a row's, with their places."""

    root: Map | None
    problems: list[tuple[int, str]]
    variables: list[tuple[int, Substituted]]


class _Unreadable(Exception):
    def __init__(self, mark: int, message: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.message = message


def pack(file: int, line: int, column: int) -> int:
    """Pack a place; ``line`` and ``column`` count from 0 here, as YAML's marks do."""
    return file << 52 | line << 26 | column


def unpack(mark: int) -> Place:
    """The place that was packed."""
    return Place(mark >> 52, (mark >> 26 & MAX_BYTES - 1) + 1, (mark & MAX_BYTES - 1) + 1)


def parse(
    content: bytes, file: int, name: str, substitute: Callable[[str], Substituted] | None, begins: str = _BEGINS
) -> Parsed:
    """Read one YAML file; ``file`` is its number, ``substitute`` replaces the variables of a text that has any.

    ``begins`` tells the user of a file that is something else how one should look.
    """
    reader: _Reader | None = None
    try:
        _decode(content, file)
        reader = _Reader(content, file, name, substitute if b"${" in content else None, begins)
        return Parsed(reader.document(), reader.problems, reader.variables)
    except _Unreadable as error:
        problems = [(error.mark, error.message)]
    except yaml.MarkedYAMLError as error:
        problems = [_syntax(error, content, file)]
    except yaml.YAMLError as error:
        problems = [(pack(file, 0, 0), f"this is not YAML: {error}")]
    return Parsed(None, problems + (reader.problems if reader else []), [])


def peek(content: bytes, key: str, substitute: Callable[[str], Substituted]) -> Map | None:
    """What a file has under ``key``, without the rest being read; what is wrong with it is for ``parse`` to say."""
    if key.encode() not in content:
        return None
    try:
        _decode(content, 0)
        return _Reader(content, 0, "", substitute).section(key)
    except (_Unreadable, yaml.YAMLError):
        return None


def _decode(content: bytes, file: int) -> None:
    """Refuse what libyaml would refuse with a byte offset only, or decode by guessing."""
    if len(content) >= MAX_BYTES:
        raise _Unreadable(pack(file, 0, 0), f"this file has more than {MAX_BYTES >> 20} MiB: split it into a folder")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _Unreadable(pack(file, 0, 0), "this file is UTF-16; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        raise _Unreadable(
            _mark_at(before, file), f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None
    control = re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]", text)
    if control is not None:
        raise _Unreadable(
            _mark_at(text[: control.start()], file),
            f"the control character U+{ord(control[0]):04X} may not stand in YAML; delete it",
        )


def _mark_at(before: str, file: int) -> int:
    line = before.count("\n")
    return pack(file, line, len(before) - (before.rfind("\n") + 1))


def _syntax(error: yaml.MarkedYAMLError, content: bytes, file: int) -> tuple[int, str]:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = content.decode("utf-8-sig").split("\n")
    text = lines[line] if line < len(lines) else ""
    indent = text[: len(text) - len(text.lstrip())]
    if "\t" in indent and column <= len(indent):
        return pack(file, line, indent.index("\t")), "a tab cannot indent YAML; use spaces"
    said = " ".join(filter(None, (error.context, error.problem)))
    hint = ""
    if error.problem and "mapping values are not allowed" in error.problem:
        hint = "; a text with ': ' in it must be quoted, and keys side by side equally indented"
    elif "${" in text and re.search(r"[{\[,].*\$\{", text):
        hint = "; inside { } or [ ] a text with ${…} must be quoted"
    elif error.problem and "found character" in error.problem and text[column : column + 1] in ("@", "`", "%"):
        hint = f"; a text that starts with {text[column]} must be quoted"
    return pack(file, line, column), f"this is not YAML: {said}{hint}"


class _Reader:
    """Turns the events of one file into values; what is wrong but readable is noted and reading goes on."""

    def __init__(
        self,
        content: bytes,
        file: int,
        name: str,
        substitute: Callable[[str], Substituted] | None,
        begins: str = _BEGINS,
    ) -> None:
        self.problems: list[tuple[int, str]] = []
        self.variables: list[tuple[int, Substituted]] = []
        self._event: Callable[[], Any] = _LOADER(content).get_event
        self._base = file << 52
        self._name = name
        self._substitute = substitute
        self._begins = begins
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._plain: dict[str, Any] = {}
        self._texts: dict[str, str] = {}
        self._nodes = 0
        self._repeated = 0

    def document(self) -> Map:
        event = self._event()
        while type(event) is not DocumentStartEvent:
            if type(event) is StreamEndEvent:
                raise _Unreadable(self._base, f"this file is empty; {self._begins}")
            event = self._event()
        event = self._event()
        first = self._mark(event)
        root = self._value(event, 0)
        if root is None:
            raise _Unreadable(self._base, f"this file is empty; {self._begins}")
        if not isinstance(root, Map):
            raise _Unreadable(first, f"this file must be a mapping (key: value); {self._begins}")
        self._event()
        event = self._event()
        if type(event) is not StreamEndEvent:
            raise _Unreadable(
                self._mark(event), "a second document starts here; a spec file holds one (use a folder of files)"
            )
        return root

    def section(self, wanted: str) -> Map | None:
        while type(event := self._event()) is not MappingStartEvent:
            if type(event) is StreamEndEvent:
                return None
        while type(event := self._event()) is not MappingEndEvent:
            key = self._key(event, 0, 0)
            value = self._value(self._event(), 1)
            if key == wanted:
                return value if isinstance(value, Map) else None
        return None

    def _mark(self, event: Any) -> int:
        mark = event.start_mark
        return int(self._base | mark.line << 26 | mark.column)

    def _value(self, event: Any, depth: int) -> Any:
        kind = type(event)
        self._nodes += 1
        if kind is ScalarEvent:
            value = self._scalar(event)
        elif kind is AliasEvent:
            return self._alias(event)
        else:
            if event.tag not in _COLLECTION_TAGS:
                self._refuse_tag(event)
            if depth == MAX_DEPTH:
                raise _Unreadable(self._mark(event), f"this is nested more than {MAX_DEPTH} levels deep")
            nodes = self._nodes + self._repeated
            value = self._mapping(depth + 1) if kind is MappingStartEvent else self._sequence(depth + 1)
            if event.anchor is not None:
                self._anchors[event.anchor] = value, self._nodes + self._repeated - nodes + 1
            return value
        if event.anchor is not None:
            self._anchors[event.anchor] = value, 1
        return value

    def _mapping(self, depth: int) -> Map:
        result = Map()
        next_event, append, base = self._event, result.marks.append, self._base
        merges: list[tuple[int, Any]] = []
        while True:
            event = next_event()
            if type(event) is MappingEndEvent:
                break
            mark = event.start_mark
            key_mark = base | mark.line << 26 | mark.column
            merging = type(event) is ScalarEvent and event.value == "<<" and event.implicit[0]
            key = self._key(event, key_mark, depth)
            event = next_event()
            mark = event.start_mark
            value_mark = base | mark.line << 26 | mark.column
            value = self._value(event, depth)
            if merging:
                merges.append((value_mark, value))
            elif key in result:
                place = unpack(result.marks_of(key)[0])
                self.problems.append(
                    (key_mark, f"the key {key!r} is already defined at {self._name}:{place.line}:{place.column}")
                )
            else:
                result[key] = value
                append(key_mark)
                append(value_mark)
        for merge_mark, merged in merges:
            self._merge(result, merged, merge_mark)
        return result

    def _merge(self, result: Map, merged: Any, mark: int) -> None:
        for part in merged if isinstance(merged, Seq) else [merged]:
            if not isinstance(part, Map):
                self.problems.append((mark, "<< merges a mapping, or a list of mappings, by alias: <<: *name"))
                continue
            self._repeat(len(part), mark)
            for key in part:
                if key not in result:
                    result.copy_from(part, key)

    def _sequence(self, depth: int) -> Seq:
        result = Seq()
        while True:
            event = self._event()
            if type(event) is SequenceEndEvent:
                return result
            result.marks.append(self._mark(event))
            result.append(self._value(event, depth))

    def _key(self, event: Any, mark: int, depth: int) -> str:
        if type(event) is ScalarEvent:
            key = self._texts.setdefault(event.value, event.value)
            if key and key[0] not in _SUSPECTS and event.tag is None:
                return key
            if event.anchor is not None:
                self._anchors[event.anchor] = key, 1
            value = self._resolve(event)
            if not isinstance(value, str):
                reading = value.reading if isinstance(value, Misread) else plain_reading(value)
                advice = f'quote it: "{key}"' if key else "give it a name"
                self.problems.append((mark, f"the key {key or '(empty)'} is {reading} to YAML, not text; {advice}"))
            return key
        value = self._value(event, depth)
        if isinstance(value, str):
            return value
        if not isinstance(event, AliasEvent):
            raise _Unreadable(mark, "a key must be text; a text that starts with { or [ must be quoted")
        raise _Unreadable(mark, f"the alias *{event.anchor} cannot be a key: it stands for {plain_reading(value)}")

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if event.tag is None and (event.style or not text or text[0] in _SUSPECTS):
            value = self._resolve(event)
        elif event.tag is None:
            value = self._texts.setdefault(text, text)
        else:
            value = self._resolve(event)
        if self._substitute is not None and type(value) is str and "${" in value:
            value = self._substitute(value)
            if value.problem is not None or value.parts:
                self.variables.append((self._mark(event), value))
        return value

    def _resolve(self, event: Any) -> Any:
        text = event.value
        if event.tag is not None and event.tag not in _STRING_TAGS:
            self._refuse_tag(event)
        if event.tag is not None or event.style:
            return self._texts.setdefault(text, text)
        if text not in self._plain:
            self._plain[text] = read_plain(text)
        return self._plain[text]

    def _refuse_tag(self, event: Any) -> None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        self.problems.append((self._mark(event), f"the tag {tag} has no meaning in a spec; leave it out"))

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise _Unreadable(self._mark(event), f"no anchor &{event.anchor} stands before the alias *{event.anchor}")
        value, nodes = self._anchors[event.anchor]
        if isinstance(value, Substituted) and value.parts:
            self.variables.append((self._mark(event), value))
        self._repeat(nodes, self._mark(event))
        return value

    def _repeat(self, nodes: int, mark: int) -> None:
        # A few lines of nested aliases can stand for billions of values; an honest spec repeats a small multiple.
        self._repeated += nodes
        if self._repeated > 100_000 + 20 * self._nodes:
            raise _Unreadable(mark, "the aliases up to here stand for far more than is written; write it out")


def read_plain(text: str) -> Any:
    """What an unquoted scalar is to every reader of YAML, or a ``Misread`` where they differ or no field takes it."""
    if not text:
        return None
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    reading = next((reading for pattern, reading in _MISREAD if pattern.fullmatch(text)), None)
    return text if reading is None else Misread(text, reading)


def plain_reading(value: Any) -> str:
    """What a value is to YAML, for messages."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "a number"
    if isinstance(value, Misread):
        return value.reading
    return "a mapping" if isinstance(value, Map) else "a list"
