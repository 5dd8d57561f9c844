"""One run of a Ray engine: which attempts are at work where, and what becomes of them."""

import logging
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import count
from math import ceil
from typing import Any, Final

from vidfer.pipeline.engines.base import Result, TwoPartWork
from vidfer.pipeline.engines.ray_worker import Board, Desk, Holder, is_there, prepare
from vidfer.pipeline.engines.remote import Surroundings
from vidfer.pipeline.worker import Work
from vidfer.pipeline.workers import OnProgress, stalled
from vidfer.types import ClipError, Status, VidferError

_TICK: Final = 0.5
_CPUS_OF_HOLDER: Final = 4  # of the chain's work the first part takes four fifths
_SECONDS_FOR_A_WORKER: Final = 600.0

_LOG = logging.getLogger(__name__)


@dataclass
class Place:
    """An actor: `starting` is the answer that is waited for until it is ready, `node` where it is."""

    actor: Any
    starting: Any
    node: str = ""


@dataclass
class Flight:
    """An attempt at an item: what Ray will answer, where, and when it last said something by the board's clock."""

    position: int
    number: int
    ref: Any
    place: Place | None
    heard: float | None = None


@dataclass
class RayRun:
    """The state of a run, and its steps; see `RayEngine`."""

    work: Work[Any]
    items: Iterator[Any]
    stall: float
    gpus: float
    retries: int
    taken: int = 0
    exhausted: bool = False
    given: dict[int, Any] = field(default_factory=dict)
    again: deque[int] = field(default_factory=deque)
    prepared: deque[int] = field(default_factory=deque)
    flights: list[Flight] = field(default_factory=list)
    doubts: list[tuple[Any, int, str]] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    died: "Counter[int]" = field(default_factory=Counter)
    done: dict[int, Result] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start the board, near the driver, and put the work where workers find it."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._two_parts = isinstance(self.work, TwoPartWork)
        self._numbers = count()
        near = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        board: Any = ray.remote(Board).options(
            num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=near
        )
        self._board = board.remote()
        self._news: Any = self._board.read.remote()
        self._work: Any = ray.put(self.work)
        threads = _CPUS_OF_HOLDER if self._two_parts else 1
        self._desk, self._desk_of_task = (Desk(self._board, Surroundings.here(), each) for each in (threads, 1))
        self._prepare: Any = ray.remote(prepare).options(num_cpus=1, max_retries=0, scheduling_strategy="SPREAD")
        self._is_there: Any = ray.remote(is_there)
        self._began = time.monotonic()

    def results(self, on_progress: OnProgress, *, in_order: bool) -> Generator[tuple[int, Result], None, None]:
        """Do all the work; see `Engine.run`."""
        turn = 0
        while True:
            self._fill(turn if in_order else None)
            due = [position for position in self.done if not in_order or position == turn]
            for position in due:
                turn += 1
                yield position, self.done.pop(position)
            if due:
                continue
            if self.exhausted and not self.given:
                return
            self._collect(on_progress)

    def end(self) -> None:
        """Stop all that is at work."""
        import ray

        for flight in self.flights:
            if flight.place is None:
                ray.cancel(flight.ref, force=True)
        for place in self.places:
            ray.kill(place.actor)
        ray.kill(self._board)

    def _fill(self, turn: int | None) -> None:
        """Give every free place something to do; in order, only what is not too far ahead of the one that is due."""
        import ray

        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cpus = int(resources.get("CPU", 0))
        self._start_places(cpus, resources.get("GPU", 0.0))
        ready = [place for place in self.places if place.starting is None]
        limit = None if turn is None else turn + 2 * (cpus + len(self.places))
        if not any(
            place.node for place in self.places
        ):  # whether a worker can do anything is known when the first is ready
            if time.monotonic() - self._began > _SECONDS_FOR_A_WORKER:
                what = f"{self.gpus:g} GPU" if self.gpus else "a CPU"
                raise VidferError(
                    f"no worker of the cluster was ready in {_SECONDS_FOR_A_WORKER:g} s: each needs {what}"
                )
            return
        if self._two_parts:
            while len(self._preparing()) < cpus + 2 and len(self.prepared) < 2 * len(self.places):
                if (position := self._next(limit)) is None:
                    break
                number = next(self._numbers)
                ref = self._prepare.remote(self._work, self._desk_of_task, number, self.given[position])
                self.flights.append(Flight(position, number, ref, None))
        busy = {id(flight.place) for flight in self.flights}
        for place in ready:
            if id(place) in busy:
                continue
            position = self.prepared.popleft() if self.prepared else None if self._two_parts else self._next(limit)
            if position is None:
                break
            number = next(self._numbers)
            ref = place.actor.do.remote(self._work, self._desk, number, self.given[position])
            self.flights.append(Flight(position, number, ref, place))

    def _preparing(self) -> list[Flight]:
        return [flight for flight in self.flights if flight.place is None]

    def _next(self, limit: int | None) -> int | None:
        """Return the position of an item that is to be begun, or begun again; None where there is none."""
        if self.again:
            return self.again.popleft()
        if self.exhausted or (limit is not None and self.taken >= limit):
            return None
        found = next(self.items, self)  # no item is this object
        if found is self:
            self.exhausted = True
            return None
        self.given[self.taken] = found
        self.taken += 1
        return self.taken - 1

    def _start_places(self, cpus: int, gpus: float) -> None:
        """Have as many actors as there is room for; a cluster may grow."""
        import ray

        wanted = int(gpus / self.gpus) if self.gpus else ceil(cpus / _CPUS_OF_HOLDER) if self._two_parts else cpus
        needs = {"num_gpus": self.gpus} if self.gpus else {}
        # An actor that held a CPU for good would keep it from the tasks, on a small cluster all of them.
        shape = {"num_cpus": 0 if self._two_parts or self.gpus else 1, **needs}
        while len(self.places) < max(1, wanted):
            holder = ray.remote(Holder).options(
                max_restarts=-1, max_task_retries=0, scheduling_strategy="SPREAD", **shape
            )
            actor: Any = holder.remote()
            self.places.append(Place(actor, actor.node.remote()))

    def _collect(self, on_progress: OnProgress) -> None:
        """Wait a little for answers, and take those that have come."""
        import ray

        refs = [flight.ref for flight in self.flights] + [ref for ref, *_ in self.doubts]
        refs += [place.starting for place in self.places if place.starting is not None]
        if refs:
            ray.wait(refs, timeout=_TICK)
            ready = set(ray.wait(refs, num_returns=len(refs), timeout=0)[0])
        else:
            time.sleep(_TICK)
            ready = set()
        for place in self.places:
            if place.starting in ready:
                self._greet(place)
        for doubt in [each for each in self.doubts if each[0] in ready]:
            self.doubts.remove(doubt)
            self._after_doubt(*doubt)
        for flight in [each for each in self.flights if each.ref in ready]:
            self.flights.remove(flight)
            self._land(flight)
        self._read_board(on_progress)

    def _greet(self, place: Place) -> None:
        """Take an actor's answer that it is ready, or ask again."""
        import ray

        try:
            place.node, place.starting = ray.get(place.starting), None
        except ray.exceptions.ActorDiedError as error:  # for good: it could not be made
            reason = str(error).strip().splitlines()[-1]
            raise VidferError(f"the workers of the Ray cluster cannot run vidfer: {reason}") from error
        except ray.exceptions.RayError:  # it is being started anew
            place.starting = place.actor.node.remote()

    def _land(self, flight: Flight) -> None:
        """Take the answer of an attempt."""
        import ray

        try:
            kind, value = ray.get(flight.ref)
        except ray.exceptions.NodeDiedError:
            self._repeat(flight.position)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            self._after_death(flight.position, f"its worker ended with {type(cause).__name__}: {cause}")
        except ray.exceptions.RayError as error:
            reason = f"its worker process ended ({type(error).__name__})"
            if flight.place is None:
                self._after_death(flight.position, reason)
            else:  # its actor is started anew; it depends on the node whose fault that was
                self.doubts.append((self._ask(flight.place.node), flight.position, reason))
        else:
            if kind == "fatal":
                raise value
            if kind == "done" and flight.place is None:
                self.prepared.append(flight.position)
            else:
                self._finish(flight.position, ClipError(*value) if kind == "clip" else value)
            return
        if flight.place is not None:
            flight.place.starting = flight.place.actor.node.remote()

    def _ask(self, node: str) -> Any:  # noqa: ANN401 - Ray's reference
        """Have a node say that it is still there."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(node, soft=False)
        return self._is_there.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote()

    def _after_doubt(self, answer: Any, position: int, reason: str) -> None:  # noqa: ANN401 - Ray's reference
        import ray

        try:
            ray.get(answer)
        except ray.exceptions.RayError:
            self._repeat(position)
        else:
            self._after_death(position, reason)

    def _repeat(self, position: int) -> None:
        """Begin an item again whose node was lost: that is no attempt."""
        _LOG.warning("%s: its node was lost, so it is begun again", self.given[position])
        self.again.appendleft(position)

    def _after_death(self, position: int, reason: str) -> None:
        """Begin an item again whose worker died, or say what became of it."""
        self.died[position] += 1
        if self.died[position] <= self.retries:
            self.again.appendleft(position)
            return
        times = f" {self.died[position]} times" if self.retries else ""
        message = f"{self.given[position]}: {reason}{times}; run it again with --engine local to see why"
        self._finish(position, ClipError(Status.CRASHED, message))

    def _finish(self, position: int, result: Result) -> None:
        self.done[position] = result
        del self.given[position]
        self.died.pop(position, None)

    def _read_board(self, on_progress: OnProgress) -> None:
        """Pass on what workers said, and kill those that have said nothing for too long."""
        import ray

        if not ray.wait([self._news], timeout=0)[0]:
            return
        try:
            now, news, logs = ray.get(self._news)
        except ray.exceptions.RayError:  # the board was started anew on another node
            self._news = self._board.read.remote()
            return
        self._news = self._board.read.remote()
        for record in logs:
            logging.getLogger(record.name).handle(record)
        for flight in list(self.flights):
            if flight.number in news:
                stage, share, flight.heard = news[flight.number]
                if stage:
                    on_progress(flight.position, stage, share)
            if flight.heard is not None and now - flight.heard >= self.stall:
                self._kill(flight)

    def _kill(self, flight: Flight) -> None:
        import ray

        self.flights.remove(flight)
        if flight.place is None:
            ray.cancel(flight.ref, force=True)
        else:
            ray.kill(flight.place.actor, no_restart=False)
            flight.place.starting = flight.place.actor.node.remote()
        self._finish(flight.position, stalled(self.given[flight.position], self.stall))
