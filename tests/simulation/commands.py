"""The commands of the console script, in the order in which the real ones do things (``glossi_sync/cli``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulation.catalogue import ENDPOINT, Catalogue
from simulation.network import Network, Transport
from simulation.process import Process, ProcessDied
from simulation.service import KEY
from simulation.vault import MortalState, Vault

from glossi_sync.applying import Applied, Event, Setup, Stop, apply, model_files, new_id
from glossi_sync.applying.resolve import adopt, again
from glossi_sync.planning import Policy, Refresh, Survey, survey
from glossi_sync.resources import Model
from glossi_sync.service import Glossi
from glossi_sync.spec import Spec, hash_models, read_spec
from glossi_sync.state import Holder, State


@dataclass(frozen=True, slots=True)
class World:
    """What every command needs: the user's files, the state, the network, the time."""

    catalogue: Catalogue
    vault: Vault
    network: Network
    clock: Callable[[], float]
    commit_seconds: float
    """The longest time that a commit takes."""
    hears: bool = False
    """Whether a webhook's receiver keeps events beside the state."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of an apply or a plan that matter here."""

    retry_failed: bool = False
    in_doubt: str = "hold"
    refresh: Refresh = Refresh.LIVE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command found and did."""

    surveyed: Survey
    applied: Applied | None = None


async def apply_command(world: World, process: Process, transport: Transport, options: Options) -> Outcome:
    """``glossi-sync apply --yes``, as ``cli/apply_command.py`` does it."""
    run_id = new_id(process.rng)
    spec = read_spec(world.catalogue.path, env={}, files=False)
    with _open(world, process) as state, state.lock(_holder(process, run_id, world, "apply")):
        models = _hash(spec, state)
        policy = Policy(spec.retries, options.retry_failed, options.in_doubt == "again")
        async with _connect(world, process, transport, holding=state) as service:
            surveyed = await _look(world, process, spec, models, state, service, policy, options.refresh)
            process.stop = Stop()
            setup = Setup(
                service=service,
                state=state,
                desired=surveyed.desired,
                realised=surveyed.realised,
                file_of=model_files(spec, {}),
                policy=policy,
                emit=_tell(process),
                stop=process.stop,
                keep_secret=lambda _: ("the user's mind", ()),
                clock=world.clock,
                rng=process.rng,
                uploads=2,
                run_blocking=blocking(world, process),
                hears=world.hears,
            )
            applied = await apply(surveyed.plan, setup, run_id=run_id, command="apply")
            return Outcome(surveyed, applied)


async def plan_command(world: World, process: Process, transport: Transport, options: Options) -> Outcome:
    """``glossi-sync plan``: no lock, and nothing is changed."""
    spec = read_spec(world.catalogue.path, env={}, files=False)
    with _open(world, process) as state:
        models = _hash(spec, state)
        policy = Policy(spec.retries, options.retry_failed, options.in_doubt == "again")
        async with _connect(world, process, transport) as service:
            surveyed = await _look(world, process, spec, models, state, service, policy, options.refresh)
            return Outcome(surveyed)


async def _look(
    world: World,
    process: Process,
    spec: Spec,
    models: Mapping[str, Model],
    state: State,
    service: Glossi,
    policy: Policy,
    refresh: Refresh,
) -> Survey:
    surveyed = await survey(spec, models, state, service, policy=policy, clock=world.clock, refresh=refresh)
    process.desired = surveyed.desired
    if process.tracing:
        process.say(f"plans {_said(surveyed)}")
    return surveyed


async def resolve_command(
    world: World, process: Process, transport: Transport, address: str, job_id: str | None
) -> None:
    """``glossi-sync resolve ADDRESS --adopt JOB-ID | --again``, as ``cli/resolve_command.py`` does it."""
    run_id = new_id(process.rng)
    spec = read_spec(world.catalogue.path, env={}, files=False)
    with _open(world, process) as state, state.lock(_holder(process, run_id, world, "resolve")):
        models = _hash(spec, state)
        async with _connect(world, process, transport) as service:
            surveyed = await survey(
                spec, models, state, service, policy=Policy(), clock=world.clock, refresh=Refresh.NONE
            )
            if job_id is None:
                writes = again(address, surveyed, clock=world.clock, rng=process.rng)
            else:
                writes = await adopt(address, job_id, surveyed, service, clock=world.clock, rng=process.rng)
        state.write(writes)


def blocking(world: World, process: Process) -> Callable[..., Any]:
    """What stands for a thread: the work is done after a while, and is done even where its caller is cancelled."""

    async def run(function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            await asyncio.sleep(process.rng.random() * world.commit_seconds if world.commit_seconds else 0)
            await process.awake()
        except asyncio.CancelledError:
            if process.killed:
                raise ProcessDied from None
            function(*arguments)
            raise
        if process.killed:
            raise ProcessDied
        return function(*arguments)

    return run


class _open:
    def __init__(self, world: World, process: Process) -> None:
        self._state = process.state = world.vault.open(process)

    def __enter__(self) -> MortalState:
        return self._state

    def __exit__(self, *_: object) -> None:
        self._state.close()


def _holder(process: Process, run_id: int, world: World, command: str) -> Holder:
    return Holder(run_id, f"glossi-sync {command}", process.name, "here", 1, world.clock())


def _hash(spec: Spec, state: MortalState) -> Any:
    hashed = hash_models(spec, state.stamps(), threads=1)
    state.put_stamps(hashed.fresh)
    return hashed.models


def _connect(world: World, process: Process, transport: Transport, holding: State | None = None) -> Glossi:
    run_blocking = blocking(world, process)
    return Glossi(
        ENDPOINT,
        KEY,
        transport=transport,
        rng=process.rng,
        wall_clock=world.clock,
        assure=None if holding is None else lambda: run_blocking(holding.assure_lock),
        run_blocking=run_blocking,
    )


def _tell(process: Process) -> Callable[[Event], None]:
    return (lambda event: process.say(str(event))) if process.tracing else (lambda _: None)


def _said(surveyed: Survey) -> str:
    return "; ".join(
        f"{change.address}: {change.action}{'!' if change.trouble else ''} {[step.name for step in change.steps]}"
        for change in surveyed.plan.changes
    )
