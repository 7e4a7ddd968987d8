"""A state in a bucket: no write is lost or done twice, whichever request fails, and whoever is paused for how long.

The bucket is in memory, so that each request of a run can be the one that fails, one after the other, all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial

import pytest
from bucket_in_memory import Cupboard, Kept, MemoryObjects, shown
from hypothesis import given, settings
from hypothesis import strategies as st
from test_state_model import writes

from glossi_sync.resources import Kind, Phase
from glossi_sync.state import (
    Bind,
    Holder,
    Intend,
    Intent,
    MemoryState,
    Object,
    PutObject,
    PutRun,
    Received,
    Run,
    StateError,
    StateLocked,
)
from glossi_sync.state.bucket import bucket_state as bucket
from glossi_sync.state.bucket.bucket_state import BucketState, create
from glossi_sync.state.bucket.lease import LEASE_SECONDS, MARGIN_SECONDS
from glossi_sync.state.bucket.objects import Tag, Unreachable
from glossi_sync.state.bucket.wire import (
    Entry,
    Position,
    Snapshot,
    read_entry,
    read_snapshot,
    write_entry,
    write_snapshot,
)
from glossi_sync.state.lock import told

ANA = Holder(7, "glossi-sync apply", "ana", "build-7", 4711, 1e9)
BO = Holder(8, "glossi-sync apply --yes", "bo", "laptop", 99, 1e9)

ENOUGH = LEASE_SECONDS + MARGIN_SECONDS + 1


class Died(BaseException):
    """The process has ended: nothing that it asks for from now on is done."""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def still(*_: object) -> Callable[[], None]:
    """No heartbeat."""
    return lambda: None


@pytest.fixture(autouse=True)
def _snapshots_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "FEWEST_ENTRIES", 2)
    monkeypatch.setattr(bucket, "MOST_ENTRIES", 2)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cupboard(clock: Clock) -> Cupboard:
    return Cupboard(clock)


def opened(objects: MemoryObjects, clock: Callable[[], float] = lambda: 0.0) -> BucketState:
    return BucketState(objects, service="local", stamps=MemoryState(service="local"), clock=clock, beat=still)


def thing(number: int) -> list[PutObject | Bind]:
    return [PutObject(Object(number, Kind.MODEL, "d" * 64, Phase.READY)), Bind(f"model.m{number}", number)]


def run(objects: MemoryObjects, clock: Callable[[], float], holder: Holder, first: int, kept: list[int]) -> None:
    """A run that makes the state, where there is none, and writes five transactions; ``kept`` are those it knows of."""
    create(objects, service="local")
    state = opened(objects, clock)
    with state.lock(holder):
        for number in range(first, first + 5):
            state.write(thing(number))
            kept.append(number)


def numbers(cupboard: Cupboard) -> set[int]:
    """What is in the state, as an onlooker sees it; it must be whole transactions, each of them once."""
    state = opened(MemoryObjects(cupboard))
    realised = state.realised()
    assert realised.bindings == {f"model.m{number}": number for number in realised.objects}
    assert state.serial == len(realised.objects)
    assert state.damage() == []
    return set(realised.objects)


class Failing:
    """Told of each request; lets the ``which``-th fail, before it is done or after. ``for_good``: all that follow, too."""

    def __init__(self, which: int, error: type[BaseException], *, after: bool, for_good: bool) -> None:
        self.count = 0
        self._which = which
        self._error = error
        self._after = after
        self._for_good = for_good

    def before(self, what: str, name: str) -> None:
        self.count += 1
        if (self._for_good and self.count > self._which) or (self.count == self._which and not self._after):
            raise self._error(f"{what} {name}")

    def after(self, what: str, name: str) -> None:
        if self.count == self._which and self._after:
            raise self._error(f"{what} {name}")


FAILURES = [
    pytest.param(Unreachable, False, False, id="a request is lost"),
    pytest.param(Unreachable, True, False, id="an answer is lost"),
    pytest.param(Unreachable, False, True, id="the bucket is gone from a request on"),
    pytest.param(Unreachable, True, True, id="the bucket is gone from an answer on"),
    pytest.param(Died, False, True, id="the process dies before a request"),
    pytest.param(Died, True, True, id="the process dies before it hears the answer"),
]


@pytest.mark.parametrize(("error", "after", "for_good"), FAILURES)
def test_whichever_request_fails_nothing_is_lost_and_nothing_is_doubled(
    error: type[BaseException], after: bool, for_good: bool
) -> None:
    for which in itertools.count(1):
        clock = Clock()
        cupboard = Cupboard(clock)
        failing = Failing(which, error, after=after, for_good=for_good)
        kept: list[int] = []
        with suppress(StateError, Died):
            run(MemoryObjects(cupboard, before=failing.before, after=failing.after), clock, ANA, 0, kept)
        if "snapshot" in cupboard.things:
            found = numbers(cupboard)
            # One that failed may have been done: no more than one, and the very next.
            assert found in (set(kept), {*kept, len(kept)}), which
        else:
            assert not kept
            found = set()
        clock.now += ENOUGH
        again: list[int] = []
        run(MemoryObjects(cupboard), clock, BO, 100, again)
        assert numbers(cupboard) == found | set(again)
        assert again == [100, 101, 102, 103, 104]
        if failing.count < which:
            break
    assert which > 25


@pytest.mark.parametrize("after", [False, True], ids=["a request is lost", "an answer is lost"])
def test_a_run_that_goes_on_after_a_write_that_failed_writes_each_once(after: bool) -> None:
    for which in itertools.count(1):
        cupboard = Cupboard()
        create(MemoryObjects(cupboard), service="local")
        failing = Failing(which, Unreachable, after=after, for_good=False)
        state = opened(MemoryObjects(cupboard))
        state._objects = MemoryObjects(cupboard, before=failing.before, after=failing.after)
        kept: list[int] = []
        with suppress(StateError), state.lock(ANA):
            for number in range(5):
                with suppress(StateError):
                    state.write(thing(number))
                    kept.append(number)
                    assert set(state.realised().objects) >= set(kept)
        found = numbers(cupboard)
        assert set(kept) <= found <= set(range(5))
        assert not kept or len(kept) >= 4
        if failing.count < which:
            break
    assert which > 15


class Delayed(MemoryObjects):
    """A network that holds back one request to make an entry, and delivers it later, when nobody waits for it."""

    def __init__(self, cupboard: Cupboard, which: int) -> None:
        super().__init__(cupboard)
        self.count = 0
        self.late: tuple[str, bytes] | None = None
        self._which = which

    def create(self, name: str, body: bytes) -> Tag | None:
        self.count += name.startswith("journal/")
        if self.count == self._which and name.startswith("journal/"):
            self.late = name, body
            raise Unreachable("no answer")
        return super().create(name, body)

    def deliver(self) -> None:
        if self.late is not None:
            MemoryObjects(self._cupboard).create(*self.late)
            self.late = None


def arrive(network: Delayed) -> None:
    network.deliver()
    numbers(network._cupboard)


def test_a_request_that_arrives_after_its_run_has_ended_harms_nothing() -> None:
    for which, later in itertools.product(range(1, 7), range(1, 40)):
        clock = Clock()
        cupboard = Cupboard(clock)
        create(MemoryObjects(cupboard), service="local")
        network = Delayed(cupboard, which)
        kept: list[int] = []
        with suppress(StateError):
            run(network, clock, ANA, 0, kept)
        # What is late arrives before the so-many-th request of the next run, or after that run.
        arriving = Pausing(later, partial(arrive, network), after=False)
        run(MemoryObjects(cupboard, before=arriving.before), clock, BO, 100, kept)
        network.deliver()
        found = numbers(cupboard)
        assert set(kept) <= found
        assert len(found - set(kept)) <= 1
        run(MemoryObjects(cupboard), clock, BO, 200, kept)
        assert numbers(cupboard) == found | set(kept)
    assert network.count == 5


class Repeated(MemoryObjects):
    """A client that sends a request twice, since the answer to the first was lost, and tells of the second's alone."""

    def _change(self, what: str, name: str, body: bytes, fits: Callable[[Kept | None], bool]) -> Tag | None:
        super()._change(what, name, body, fits)
        return super()._change(what, name, body, fits)


def test_a_client_that_asks_again_where_an_answer_was_lost_is_understood(cupboard: Cupboard, clock: Clock) -> None:
    bucket.create(MemoryObjects(cupboard), service="local")
    state = opened(Repeated(cupboard), clock)
    with state.lock(ANA):
        for number in range(7):
            state.write(thing(number))
            clock.now += LEASE_SECONDS + 1
    assert numbers(cupboard) == set(range(7))
    assert state.put_event(delivery(1))
    assert [event.number for event in state.events(0)] == [1]
    with opened(MemoryObjects(cupboard), clock).lock(BO):
        pass


def test_a_write_during_which_the_lease_is_taken_is_kept_and_the_run_goes_no_further(
    cupboard: Cupboard, clock: Clock
) -> None:
    create(MemoryObjects(cupboard), service="local")
    other = opened(MemoryObjects(cupboard), clock)
    locks = []

    def take_over(what: str, name: str) -> None:
        if name.startswith("journal/") and what == "create" and not locks:
            clock.now += ENOUGH
            locks.append(other.lock(BO))
            locks[0].__enter__()

    state = opened(MemoryObjects(cupboard, after=take_over), clock)
    with state.lock(ANA), pytest.raises(StateError, match="its lock is lost"):
        state.write(thing(1))
    assert numbers(cupboard) == {1}


class Pausing:
    """Told of each request; at the ``which``-th something else happens meanwhile, before it is done or after."""

    def __init__(self, which: int, meanwhile: Callable[[], None], *, after: bool) -> None:
        self.count = 0
        self._which = which
        self._meanwhile = meanwhile
        self._after = after

    def before(self, what: str, name: str) -> None:
        self.count += 1
        if self.count == self._which and not self._after:
            self._meanwhile()

    def after(self, what: str, name: str) -> None:
        if self.count == self._which and self._after:
            self._meanwhile()


class Meanwhile:
    """What others do while a run is paused for longer than its lease. ``kept`` is what they were told is kept."""

    def __init__(self, others: str) -> None:
        self.clock = Clock()
        self.cupboard = Cupboard(self.clock)
        self.kept: list[int] = []
        self._others = others
        self._held: list[tuple[BucketState, AbstractContextManager[None]]] = []

    def __call__(self) -> None:
        self.clock.now += ENOUGH
        match self._others:
            case "one run":
                self._run(100)
            case "two runs":
                self._run(100)
                self._run(200)
            case "one that dies":
                failing = Failing(12, Died, after=False, for_good=True)
                with suppress(Died):
                    run(MemoryObjects(self.cupboard, before=failing.before), self.clock, BO, 100, self.kept)
            case _:
                create(MemoryObjects(self.cupboard), service="local")
                state = opened(MemoryObjects(self.cupboard), self.clock)
                self._held.append((state, state.lock(BO)))
                self._held[0][1].__enter__()
                self._write(state, 100)

    def go_on(self) -> None:
        """One that holds the state still goes on as if nothing had happened."""
        for state, _ in self._held:
            self._write(state, 101)

    def _run(self, first: int) -> None:
        run(MemoryObjects(self.cupboard), self.clock, BO, first, self.kept)

    def _write(self, state: BucketState, number: int) -> None:
        state.write(thing(number))
        self.kept.append(number)


@pytest.mark.parametrize("after", [False, True], ids=["before a request", "before its answer"])
@pytest.mark.parametrize("deluded", [False, True], ids=["its clock went on", "its clock stood still"])
@pytest.mark.parametrize("others", ["one run", "two runs", "one that dies", "one that holds it still"])
def test_a_run_that_is_paused_anywhere_while_others_take_over_harms_nothing(
    after: bool, deluded: bool, others: str
) -> None:
    lost = 0
    for which in itertools.count(1):
        meanwhile = Meanwhile(others)
        clock, cupboard = meanwhile.clock, meanwhile.cupboard
        kept: list[int] = []
        pausing = Pausing(which, meanwhile, after=after)
        paused = MemoryObjects(cupboard, before=pausing.before, after=pausing.after)
        try:
            run(paused, (lambda: 0.0) if deluded else clock, ANA, 0, kept)
        except StateError as error:
            lost += 1
            assert "lock is lost" in str(error) or isinstance(error, StateLocked), which
        meanwhile.go_on()
        found = numbers(cupboard)
        # Whatever anybody was told is kept, is. What was not answered may be: one of each that was cut short.
        assert found >= {*kept, *meanwhile.kept}, which
        assert len(found - {*kept, *meanwhile.kept}) <= 1 + (others == "one that dies"), which
        clock.now += ENOUGH
        again: list[int] = []
        run(MemoryObjects(cupboard), clock, BO, 300, again)
        assert numbers(cupboard) == found | set(again), which
        if pausing.count < which:
            break
    assert which > 25
    assert lost > 5


def test_what_a_bucket_keeps_stays_small(cupboard: Cupboard, clock: Clock) -> None:
    for _ in range(20):
        run(MemoryObjects(cupboard), clock, ANA, 0, [])
    assert set(shown(cupboard)) == {"lock", "snapshot"}
    with suppress(Died):
        failing = Failing(17, Died, after=False, for_good=True)
        run(MemoryObjects(cupboard, before=failing.before), clock, ANA, 0, [])
    clock.now += ENOUGH
    for _ in range(20):
        run(MemoryObjects(cupboard), clock, ANA, 0, [])
    # The seal of the one that died, and nothing else.
    assert [name for name in shown(cupboard) if name.startswith("journal/")] == ["journal/0000000021-0000000003"]


def test_a_write_makes_one_small_object_whatever_there_is(cupboard: Cupboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "FEWEST_ENTRIES", 1000)
    asked: list[tuple[str, str]] = []
    create(MemoryObjects(cupboard), service="local")
    state = opened(MemoryObjects(cupboard, before=lambda what, name: asked.append((what, name))))
    with state.lock(ANA):
        state.write([write for number in range(5000) for write in thing(number)])
        sizes = []
        for number in range(5000, 5010):
            asked.clear()
            state.write(thing(number))
            [(what, name)] = asked
            assert what == "create"
            sizes.append(len(cupboard.things[name].body))
    assert max(sizes) < 1000


def test_who_comes_second_is_told_who_holds_it_and_for_how_long(cupboard: Cupboard, clock: Clock) -> None:
    create(MemoryObjects(cupboard), service="local")
    one, other = opened(MemoryObjects(cupboard), clock), opened(MemoryObjects(cupboard), clock)
    with one.lock(ANA):
        clock.now += 20
        assert other.holders() == (ANA,)
        with pytest.raises(StateLocked) as caught, other.lock(BO):
            pass
        assert caught.value.holder == ANA
        assert str(caught.value) == (
            f"the state s3://shop/state is held by {told(ANA)}; wait for it, or stop that process. If it is gone "
            "already, its lease ends in 45 s"
        )
        with pytest.raises(StateLocked, match="held by `glossi-sync apply` of ana"):
            other.write(thing(1))
    assert other.holders() == ()
    with other.lock(BO), pytest.raises(StateLocked, match="of bo on laptop"), one.lock(ANA):
        pass


def test_a_lease_that_is_renewed_is_kept_for_as_long_as_the_run_lasts(cupboard: Cupboard, clock: Clock) -> None:
    renewals: list[Callable[[], bool]] = []

    def beat(renew: Callable[[], bool], every: float) -> Callable[[], None]:
        assert every == LEASE_SECONDS / 3
        renewals.append(renew)
        return renewals.clear

    create(MemoryObjects(cupboard), service="local")
    one = BucketState(
        MemoryObjects(cupboard), service="local", stamps=MemoryState(service="local"), clock=clock, beat=beat
    )
    other = opened(MemoryObjects(cupboard), clock)
    with one.lock(ANA):
        for _ in range(20):
            clock.now += LEASE_SECONDS / 3
            assert renewals[0]()
            with pytest.raises(StateLocked), other.lock(BO):
                pass
        one.write(thing(1))
    assert not renewals
    with other.lock(BO):
        pass


def test_a_lease_that_ran_out_and_that_nobody_took_is_taken_up_again(cupboard: Cupboard, clock: Clock) -> None:
    create(MemoryObjects(cupboard), service="local")
    state = opened(MemoryObjects(cupboard), clock)
    with state.lock(ANA):
        clock.now += 10 * LEASE_SECONDS
        state.write(thing(1))
    assert numbers(cupboard) == {1}


def test_a_run_whose_lease_was_taken_writes_nothing_more(cupboard: Cupboard, clock: Clock) -> None:
    create(MemoryObjects(cupboard), service="local")
    one, other = opened(MemoryObjects(cupboard), clock), opened(MemoryObjects(cupboard), clock)
    with one.lock(ANA):
        one.write(thing(1))
        clock.now += ENOUGH
        with other.lock(BO):
            for _ in range(2):
                with pytest.raises(StateError) as caught:
                    one.write(thing(2))
                assert str(caught.value) == (
                    "the state s3://shop/state cannot be written: its lock is lost, because it was not renewed in time "
                    f"or was broken, and {told(BO)} has taken over; nothing more is written or asked for. What was on "
                    "its way is in the journal: run again, and that run takes it up"
                )
            other.write(thing(3))
    # Nor does it give back what is not its own.
    assert numbers(cupboard) == {1, 3}
    with one.lock(ANA):
        one.write(thing(2))
    assert numbers(cupboard) == {1, 2, 3}


def test_a_broken_lock_is_lost_to_its_holder_at_once(cupboard: Cupboard, clock: Clock) -> None:
    create(MemoryObjects(cupboard), service="local")
    one, other = opened(MemoryObjects(cupboard), clock), opened(MemoryObjects(cupboard), clock)
    assert other.break_lock() == ()
    with one.lock(ANA):
        one.write(thing(1))
        assert other.break_lock() == (ANA,)
        assert other.holders() == ()
        with pytest.raises(StateError, match="its lock is lost"):
            one.write(thing(2))
    assert numbers(cupboard) == {1}


def test_who_asks_whether_the_lock_is_its_own_still_is_told(cupboard: Cupboard, clock: Clock) -> None:
    create(MemoryObjects(cupboard), service="local")
    one, other = opened(MemoryObjects(cupboard), clock), opened(MemoryObjects(cupboard), clock)
    one.assure_lock()
    with one.lock(ANA):
        one.assure_lock()
        clock.now += ENOUGH
        one.assure_lock()
        other.break_lock()
        for _ in range(2):
            with pytest.raises(StateError, match="its lock is lost"):
                one.assure_lock()


def test_calls_that_were_on_their_way_are_in_doubt_for_who_takes_over(cupboard: Cupboard, clock: Clock) -> None:
    create(MemoryObjects(cupboard), service="local")
    one, other = opened(MemoryObjects(cupboard), clock), opened(MemoryObjects(cupboard), clock)
    intent = Intent(5, 7, "start", "POST /renders", (), 1.0)
    with one.lock(ANA):
        one.write([Intend(intent)])
        clock.now += ENOUGH
        with other.lock(BO):
            assert other.realised().in_doubt == (intent,)


def test_a_reader_sees_what_was_written_since_it_looked_and_what_was_compacted(
    cupboard: Cupboard, clock: Clock
) -> None:
    create(MemoryObjects(cupboard), service="local")
    reader = opened(MemoryObjects(cupboard))
    writer = opened(MemoryObjects(cupboard))
    for number in range(7):
        writer.write(thing(number))
        assert set(reader.realised().objects) == set(range(number + 1))
    with writer.lock(ANA):
        for number in range(7, 12):
            writer.write(thing(number))
    assert set(reader.realised().objects) == set(range(12))
    assert reader.lineage == writer.lineage


def test_a_compaction_between_any_two_requests_of_a_reader_is_no_harm(cupboard: Cupboard, clock: Clock) -> None:
    create(MemoryObjects(cupboard), service="local")
    writer = opened(MemoryObjects(cupboard), clock)
    writer.write(thing(0))
    written = 1
    for which in itertools.count(1):

        def meanwhile() -> None:
            nonlocal written
            with writer.lock(ANA):
                for number in range(written, written + 3):
                    writer.write(thing(number))
            written += 3

        before = written
        pausing = Pausing(which, meanwhile, after=False)
        reader = opened(MemoryObjects(cupboard, before=pausing.before))
        assert set(reader.realised().objects) >= set(range(before))
        if pausing.count < which:
            break
        assert set(reader.realised().objects) == set(range(written))
        writer.write(thing(written))
        written += 1
    assert which > 3


def test_a_journal_that_lacks_an_entry_is_told_and_not_bridged(cupboard: Cupboard, clock: Clock) -> None:
    create(MemoryObjects(cupboard), service="local")
    state = opened(MemoryObjects(cupboard), clock)
    lock = state.lock(ANA)
    lock.__enter__()
    state.write(thing(1))
    bucket.FEWEST_ENTRIES = 1000
    for number in range(2, 6):
        state.write(thing(number))
    journal = sorted(name for name in cupboard.things if name.startswith("journal/"))
    assert len(journal) > 2
    del cupboard.things[journal[-2]]
    with pytest.raises(StateError, match="it is damaged, or no state .the journal lacks an entry behind journal/"):
        opened(MemoryObjects(cupboard))


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("snapshot", b"", "it is damaged"),
        ("snapshot", b"\x1f\x8bnonsense", "it is damaged"),
        ("lock", b"{}", "it was not written by glossi-sync"),
        ("lock", b'{"format": 2}', "a newer glossi-sync .format 2, this one knows 1.; upgrade glossi-sync"),
    ],
)
def test_what_cannot_be_understood_is_told_in_a_sentence(cupboard: Cupboard, name: str, body: bytes, said: str) -> None:
    create(MemoryObjects(cupboard), service="local")
    cupboard.keep(name, body)
    with pytest.raises(StateError, match=f"the state s3://shop/state cannot be .*{said}"):
        opened(MemoryObjects(cupboard)).write(thing(1))


def test_another_services_state_is_refused(cupboard: Cupboard) -> None:
    create(MemoryObjects(cupboard), service="https://api.glossi.app")
    with pytest.raises(StateError, match="belongs to the service https://api.glossi.app"):
        opened(MemoryObjects(cupboard))


def test_a_text_that_is_no_text_is_refused_and_leaves_no_trace(cupboard: Cupboard) -> None:
    create(MemoryObjects(cupboard), service="local")
    state = opened(MemoryObjects(cupboard))
    with pytest.raises(StateError, match="not valid Unicode"):
        state.write([PutObject(Object(1, Kind.MODEL, "d", Phase.READY, label="\ud800"))])
    with pytest.raises(StateError, match="not valid Unicode"), state.lock(replace(ANA, user="\ud800")):
        pass
    with state.lock(ANA), pytest.raises(StateError, match="not valid Unicode"):
        state.write([Bind("model.\ud800", 1)])
    # Nothing was sent, so nothing is to be sealed.
    state.write(thing(2))
    assert numbers(cupboard) == {2}
    assert state._seals == []


class Careless(MemoryObjects):
    """A server that takes a conditional write for a plain one."""

    def create(self, name: str, body: bytes) -> dict[str, str]:
        return dict(self._cupboard.keep(name, body))


def test_a_bucket_without_conditional_writes_is_refused(cupboard: Cupboard) -> None:
    with pytest.raises(StateError, match="cannot be created: the bucket's server knows no conditional writes"):
        create(Careless(cupboard), service="local")
    assert "snapshot" not in cupboard.things


@given(st.lists(st.lists(writes, max_size=4), max_size=6))
@settings(max_examples=40)
def test_what_is_read_is_what_was_written(history: list[list[object]]) -> None:
    image, replayed = MemoryState(service="local"), MemoryState(service="local")
    replayed.load(image.dump())
    for many in history:
        with suppress(StateError):
            image.write(many)  # type: ignore[arg-type]
            entry = Entry(Position(1, 2), Position(0, 0), "by", "token", tuple(many))  # type: ignore[arg-type]
            again = read_entry(write_entry(entry))
            assert (again.position, again.after, again.by, again.token) == (entry.position, entry.after, "by", "token")
            replayed.write(again.writes)
    assert replayed.dump() == image.dump()
    snapshot = read_snapshot(write_snapshot(Snapshot(Position(3, 4), [Position(1, 2)], image.dump())))
    assert (snapshot.through, snapshot.seals) == ((3, 4), [(1, 2)])
    restored = MemoryState(service="local")
    restored.load(snapshot.document)
    assert restored.dump() == image.dump()


def test_a_state_is_replaced_as_a_whole_by_who_holds_it(cupboard: Cupboard, clock: Clock) -> None:
    create(MemoryObjects(cupboard), service="local")
    state = opened(MemoryObjects(cupboard), clock)
    run(MemoryObjects(cupboard), clock, ANA, 0, [])
    other = MemoryState(service="local")
    other.write([*thing(77), PutRun(Run(1, "apply", 1.0))])
    other.put_event(Received("e" * 64, "render.complete", "{}", 5.0))
    with state.lock(ANA):
        state.load(other.dump())
        state.write(thing(78))
    again = opened(MemoryObjects(cupboard), clock)
    other.write(thing(78))
    assert again.dump() == other.dump()
    assert again.lineage == other.lineage


# --- deliveries ----------------------------------------------------------------------------------------------------------


def delivery(number: int) -> Received:
    return Received(f"{number:064x}", "render.complete", f'{{"n": {number}}}', float(number))


def test_deliveries_are_kept_once_in_their_order_beside_a_run(cupboard: Cupboard, clock: Clock) -> None:
    create(MemoryObjects(cupboard), service="local")
    run_of_ana, receiver = opened(MemoryObjects(cupboard), clock), opened(MemoryObjects(cupboard), clock)
    with run_of_ana.lock(ANA):
        assert run_of_ana.heard() == 0
        assert [receiver.put_event(delivery(number)) for number in (3, 1, 3, 2)] == [True, True, False, True]
        assert run_of_ana.heard() == 3
        assert run_of_ana.events(0) == [replace(delivery(d), number=n) for n, d in enumerate((3, 1, 2), start=1)]
        assert run_of_ana.events(2) == [replace(delivery(2), number=3)]


def deliver(state: BucketState, *numbers: int) -> None:
    for number in numbers:
        assert state.put_event(delivery(number))


@pytest.mark.parametrize("after", [False, True])
def test_a_delivery_that_failed_anywhere_is_kept_when_it_comes_again(after: bool) -> None:
    for which in itertools.count(1):
        cupboard = Cupboard()
        create(MemoryObjects(cupboard), service="local")
        opened(MemoryObjects(cupboard)).put_event(delivery(1))
        receiver = opened(MemoryObjects(cupboard))
        failing = Failing(which, Unreachable, after=after, for_good=False)
        receiver._objects = MemoryObjects(cupboard, before=failing.before, after=failing.after)
        with suppress(StateError):
            receiver.put_event(delivery(2))
        fresh = opened(MemoryObjects(cupboard))
        fresh.put_event(delivery(2))
        assert fresh.put_event(delivery(2)) is False
        assert [event.digest for event in fresh.events(0)] == [delivery(1).digest, delivery(2).digest]
        if failing.count < which:
            break
    assert which > 4


def test_receivers_that_get_one_delivery_at_once_keep_it_once() -> None:
    for which in itertools.count(1):
        cupboard = Cupboard()
        create(MemoryObjects(cupboard), service="local")
        other, one = opened(MemoryObjects(cupboard)), opened(MemoryObjects(cupboard))
        answers: list[bool] = []
        pausing = Pausing(which, lambda: answers.append(other.put_event(delivery(1))), after=False)  # noqa: B023
        one._objects = MemoryObjects(cupboard, before=pausing.before)
        answers.append(one.put_event(delivery(1)))
        assert answers.count(True) == 1
        assert [event.number for event in one.events(0)] == [1]
        if pausing.count < which:
            break


def test_receivers_that_meet_at_any_request_keep_both_deliveries() -> None:
    for which in itertools.count(1):
        cupboard = Cupboard()
        create(MemoryObjects(cupboard), service="local")
        other = opened(MemoryObjects(cupboard))
        one = opened(MemoryObjects(cupboard))
        pausing = Pausing(which, partial(deliver, other, 2, 3), after=False)
        one._objects = MemoryObjects(cupboard, before=pausing.before)
        assert one.put_event(delivery(1))
        events = opened(MemoryObjects(cupboard)).events(0)
        if pausing.count < which:
            break
        assert {event.digest for event in events} == {delivery(n).digest for n in (1, 2, 3)}
        assert [event.number for event in events] == [1, 2, 3]
        assert other.heard() == 3
    assert which > 4


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = bucket.FEWEST_ENTRIES
    yield
    bucket.FEWEST_ENTRIES = before
