"""Every backend is the same fold over writes: random histories, compared with plain dicts after each step."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bucket_in_memory import Cupboard, MemoryObjects
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from glossi_sync.resources import Kind, Phase
from glossi_sync.state import (
    AddStray,
    Bind,
    Download,
    DropDownload,
    FileStamp,
    Holder,
    Intend,
    Intent,
    MemoryState,
    Object,
    PutDownload,
    PutObject,
    PutRun,
    PutSecret,
    Realised,
    RemoteStamp,
    RenderedFile,
    Run,
    Settle,
    State,
    StateError,
    Stray,
    Subject,
    Unbind,
    Write,
    open_state,
)
from glossi_sync.state.bucket import bucket_state as bucket

# PostgreSQL keeps no NUL; all else that is text.
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
maybe = st.none() | words
times = st.floats(allow_nan=False, allow_infinity=False)
numbers = st.integers(0, 2**63 - 1)
oids = st.sampled_from([0, 1, 2, 2**63 - 1])
call_ids = st.integers(0, 7)
addresses = st.sampled_from(["model.lamp", "project.lamp", "project.chairs/oak", "render.lamp/web", "webhook"])
counts = st.dictionaries(words, st.integers(0, 10**6), max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | times | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
objects = st.builds(
    Object,
    oid=oids,
    kind=st.sampled_from(Kind),
    digest=st.text("0123456789abcdef", min_size=64, max_size=64),
    phase=st.sampled_from(Phase),
    label=maybe,
    remote_id=maybe,
    parents=st.lists(oids, max_size=4).map(tuple),
    since=times,
    expires=st.none() | times,
    attempts=st.integers(0, 100),
    error=maybe,
)
rendered_files = st.builds(RenderedFile, words, words, words, words, st.booleans())
subjects = st.lists(st.builds(Subject, addresses, words), max_size=4).map(tuple)
writes = st.one_of(
    st.builds(
        PutObject,
        objects,
        inputs=st.none() | st.dictionaries(words, json_values, max_size=3),
        upload_url=maybe,
        files=st.none() | st.lists(rendered_files, max_size=3),
    ),
    st.builds(Bind, addresses, oids),
    st.builds(Unbind, addresses),
    st.builds(Intend, st.builds(Intent, call_ids, numbers, words, words, subjects, times)),
    st.builds(Settle, call_ids, words, times),
    st.builds(AddStray, st.builds(Stray, st.sampled_from(Kind), maybe, words, times)),
    st.builds(PutRun, st.builds(Run, st.integers(0, 3), words, times, st.none() | times, maybe, counts, counts)),
    st.builds(PutSecret, words, words),
    st.builds(PutDownload, st.builds(Download, words, words, numbers, maybe, st.none() | numbers)),
    st.builds(DropDownload, words),
)
remote_stamps = st.builds(RemoteStamp, numbers, words, words)
stamps = st.builds(FileStamp, numbers, st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**128), words, numbers)


TABLES = (
    *("objects", "inputs", "urls", "files", "bindings"),
    *("intents", "outcomes", "runs", "bound_after", "strays", "secrets", "downloads", "stamps", "remote_stamps"),
)


def no_beat(*_: object) -> Callable[[], None]:
    return lambda: None


class Model:
    """What a state is: a few dicts. Refuses what the writes' docstrings say is refused."""

    def __init__(self) -> None:
        self.serial = 0
        self.tables: dict[str, dict[Any, Any]] = {name: {} for name in TABLES}

    def write(self, many: list[Write]) -> bool:
        tables = {name: dict(table) for name, table in self.tables.items()}
        if not all(fold(tables, one) for one in many):
            return False
        for one in many:
            if isinstance(one, PutRun):
                tables["bound_after"][one.run.run_id] = dict(tables["bindings"])
        self.tables = tables
        self.serial += any(isinstance(one, PutObject | Bind | Unbind) for one in many)
        return True


def fold(tables: dict[str, dict[Any, Any]], write: Write) -> bool:
    match write:
        case PutObject(thing, inputs, url, files):
            tables["objects"][thing.oid] = thing
            if inputs is not None:
                tables["inputs"][thing.oid] = json.loads(json.dumps(inputs))
            if thing.phase is not Phase.RECORDED:
                tables["urls"].pop(thing.oid, None)
            elif url is not None:
                tables["urls"][thing.oid] = url
            if files is not None:
                tables["files"][thing.oid] = tuple(files)
        case Bind(address, oid):
            tables["bindings"][address] = oid
        case Unbind(address):
            tables["bindings"].pop(address, None)
        case Intend(intent):
            if intent.call_id in tables["intents"]:
                return False
            tables["intents"][intent.call_id] = intent
        case Settle(call_id, outcome):
            if call_id not in tables["intents"]:
                return False
            tables["outcomes"][call_id] = outcome
        case AddStray(stray):
            tables["strays"][len(tables["strays"])] = stray
        case PutRun(run):
            tables["runs"][run.run_id] = run
        case PutSecret(name, sealed):
            tables["secrets"][name] = sealed
        case PutDownload(download):
            tables["downloads"][download.path] = download
        case DropDownload(path):
            tables["downloads"].pop(path, None)
    return True


class Backends(RuleBasedStateMachine):
    """The model, a state in memory, one in a file and one in a bucket live through the same history."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="glossi-state-"))
        self.path = self.folder / "a@local.db"
        self.model = Model()
        self.file: State = open_state(self.path, service="local")
        self.memory: State = MemoryState(service="local")
        self.lineage = self.file.lineage
        self.cupboard = Cupboard()
        self.stamps = MemoryState(service="local")
        bucket.create(MemoryObjects(self.cupboard), service="local")
        self.bucket: State = self.open_bucket()
        self.bucket_lineage = self.bucket.lineage

    def open_bucket(self) -> State:
        return bucket.BucketState(MemoryObjects(self.cupboard), service="local", stamps=self.stamps, beat=no_beat)

    @property
    def states(self) -> tuple[State, ...]:
        return (self.file, self.memory, self.bucket)

    def teardown(self) -> None:
        self.file.close()
        shutil.rmtree(self.folder)

    @rule(many=st.lists(writes, max_size=6))
    def write(self, many: list[Write]) -> None:
        accepted = self.model.write(many)
        for state in self.states:
            if accepted:
                state.write(many)
            else:
                with pytest.raises(StateError):
                    state.write(many)

    @rule(many=st.dictionaries(words, stamps, max_size=3))
    def put_stamps(self, many: dict[str, FileStamp]) -> None:
        self.model.tables["stamps"].update(many)
        for state in self.states:
            state.put_stamps(many)

    @rule(many=st.dictionaries(words, remote_stamps, max_size=3))
    def put_remote_stamps(self, many: dict[str, RemoteStamp]) -> None:
        self.model.tables["remote_stamps"].update(many)
        for state in self.states:
            state.put_remote_stamps(many)

    @rule(create=st.booleans())
    def reopen(self, create: bool) -> None:
        self.file.close()
        self.file = open_state(self.path, service="local", create=create)
        assert self.file.lineage == self.lineage
        self.bucket.close()
        self.bucket = self.open_bucket()
        assert self.bucket.lineage == self.bucket_lineage

    @rule()
    def run(self) -> None:
        """A bucket's journal becomes a snapshot when a run ends."""
        with self.bucket.lock(Holder(1, "glossi-sync apply", "ana", "laptop", 1, 0.0)):
            pass
        assert len([name for name in self.cupboard.things if name.startswith("journal/")]) == 0

    @invariant()
    def the_same_is_remembered(self) -> None:
        tables = self.model.tables
        doubtful = [intent for call, intent in tables["intents"].items() if call not in tables["outcomes"]]
        realised = Realised(
            tables["objects"],
            tables["bindings"],
            tuple(sorted(doubtful, key=lambda intent: (intent.at, intent.call_id))),
        )
        everything = [*tables["objects"], 2**62 + 1]
        for state in self.states:
            assert state.realised() == realised
            assert state.serial == self.model.serial
            assert state.inputs(everything) == tables["inputs"]
            assert state.upload_urls(everything) == tables["urls"]
            assert state.files(everything) == tables["files"]
            assert state.stamps() == tables["stamps"]
            assert state.remote_stamps() == tables["remote_stamps"]
            assert state.downloads() == tables["downloads"]
            runs = state.runs()
            assert {run.run_id: run for run in runs} == tables["runs"]
            assert [run.started for run in runs] == sorted((run.started for run in runs), reverse=True)
            for run_id in (*tables["runs"], 4):
                assert state.bindings_after(run_id) == tables["bound_after"].get(run_id, {})
            assert {name: state.secret(name) for name in tables["secrets"]} == tables["secrets"]
            assert state.damage() in ([], ())
            strays = state.strays()
            assert [stray.at for stray in strays] == sorted(stray.at for stray in strays)
            assert sorted(strays, key=repr) == sorted(tables["strays"].values(), key=repr)


TestBackends = Backends.TestCase
TestBackends.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
