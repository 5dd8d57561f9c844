"""The cached step, and clips as chains of such steps: plan what is stored and what is missing, and compute that.

`cached` makes a key of a recipe (any JSON), looks into the store, and calls `make` only where nothing is found:

    recipe = {"stage": "vectors", "version": 3, "params": {"speed": 1.1}, "source": content_digest(path, store)}

    def make(draft: Draft) -> Outcome:
        draft.write_arrays("vectors.safetensors", {"vectors": read_vectors(path, speed=1.1)})
        return Outcome()

    vectors = cached(store, recipe, make).arrays("vectors.safetensors")["vectors"]

`recipe["stage"]` names the folder of the artifacts, and `version` is bumped by hand when `make` gives another result. A
`ClipError` that `make` raises, or an outcome that is not `ok` or `partial`, is stored, too, unless it is transient, and
raised again by every later call; any other error is not.

`finished` does the same for the stages of a clip (`vidfer.pipeline.stage`), each a cached step that reads the ones before.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from vidfer.pipeline.atomic import concerns
from vidfer.pipeline.beside import Beside
from vidfer.pipeline.cores import busy_threads
from vidfer.pipeline.digest import content_digest, recipe_key
from vidfer.pipeline.stage import Outcome, Progress, Stage
from vidfer.pipeline.store import Artifact, Draft, Store, unreadable
from vidfer.pipeline.system import trim_heap
from vidfer.types import TRANSIENT, ClipError, Status, VidferError

_LOG = logging.getLogger(__name__)

Make = Callable[[Draft], Outcome]
"""Writes the files of an artifact into a draft, and says what became of it."""

StageProgress = Callable[[str, float], None]
"""Called with a stage's name and the share of the clip it has done."""


@dataclass(frozen=True)
class Step:
    """One stage of one clip, as planned.

    Args:
        state: `hit`, `miss`, or `damaged` when the stored artifact had to be put into quarantine.
        due: Whether running the target has to compute it: a miss that nothing reads any more is not due, and a hit is due where
            what is computed reads files of it that were not kept.
        artifact: The stored artifact of a hit.
    """

    stage: Stage
    recipe: Mapping[str, Any]
    key: str
    state: str
    due: bool
    artifact: Artifact | None


def plan(chain: Sequence[Stage], target: str, clip: Path, store: Store, *, to_read: bool = True) -> list[Step]:
    """Compute the key of every stage up to `target` for a clip, and say which the store has.

    Every artifact found on the way is checked, whether the target needs it or not, so that damage anywhere in a clip's
    chain is found, and mended, by the next run over it: all of it where artifacts are `to_read`, else what sizes tell.

    Raises:
        ClipError: `unreadable` when the clip cannot be read.
    """
    source = content_digest(clip, store)
    keys: dict[str, str] = {}
    found: list[tuple[Stage, dict[str, Any], Artifact | None]] = []
    for stage in ancestry(chain, target):
        recipe = stage.recipe(source, keys)
        keys[stage.name] = recipe_key(recipe)
        found.append((stage, recipe, store.find(stage.name, keys[stage.name], to_read=to_read)))
    steps: list[Step] = []
    wanted, wanted_whole = {target}, set[str]()
    for stage, recipe, artifact in reversed(found):
        key = keys[stage.name]
        state = "hit" if artifact else "damaged" if (stage.name, key) in store.quarantined else "miss"
        again = artifact is not None and artifact.lacks and stage.name in wanted_whole
        due = again or state == "damaged" or (state == "miss" and stage.name in wanted)
        if due:
            wanted.update(stage.inputs)
            wanted_whole.update(stage.reads_passing())
        steps.insert(0, Step(stage, recipe, key, state, due, artifact))
    return steps


def ancestry(chain: Sequence[Stage], target: str) -> list[Stage]:
    """Return the stages that a target is computed from, and itself, in the order in which they run."""
    wanted = {target}
    kept: list[Stage] = []
    for stage in reversed(chain):
        if stage.name in wanted:
            wanted.update(stage.inputs)
            kept.insert(0, stage)
    return kept


@contextmanager
def finished(
    chain: Sequence[Stage], target: str, clip: Path, store: Store, progress: StageProgress | None = None
) -> Iterator[Artifact]:
    """Bring a clip to the target stage and lend its artifact for the length of the block.

    What a child process does by itself (`Stage.apart`) begins at once where a core is free for it, and is waited for in its turn:
    results, faults and the order of progress are those of one stage after the other.

    A stage that fails for a transient reason (a time-out, a crash, no memory) and whatever is computed from it are never
    stored: they live only as long as the block, and the next run tries again.

    Raises:
        ClipError: `unreadable` when the clip cannot be read.
        StoreError: The store is full or cannot be written. What was finished before stays.
    """
    with ExitStack() as stack:
        done: dict[str, Artifact] = {}
        passing: set[str] = set()
        steps = plan(chain, target, clip, store)
        begun = _begin(stack, steps, clip, store, progress)
        for step in steps:
            name = step.stage.name
            if step.artifact is not None and not step.due:
                done[name] = step.artifact
                _LOG.debug("%s: %s is stored, key %s", clip.name, name, step.key[:16])
            elif step.due:
                keep = passing.isdisjoint(step.stage.inputs)
                if name in begun:
                    if progress:
                        progress(name, 0.0)
                    done[name] = begun[name].wait()
                else:
                    report = partial(progress, name) if progress else _unheard
                    lent = _computed(step, clip, done, store, report, keep=keep)
                    done[name] = stack.enter_context(lent)
                trim_heap()  # what a stage needed for a long clip does not come on top of what the next one needs
                if not keep or done[name].status in TRANSIENT:
                    passing.add(name)
                store.quarantined.discard((name, step.key))
        with _named_errors(store):
            yield done[target]


def _begin(
    stack: ExitStack, steps: Sequence[Step], clip: Path, store: Store, progress: StageProgress | None
) -> dict[str, Beside[Artifact]]:
    """Begin the steps that need nothing but the clip and a child process, unless there is no other step or no core for them."""
    due = [step for step in steps if step.due]
    apart = [step for step in due if step.stage.apart and not step.stage.inputs]
    if len(due) == len(apart) or busy_threads() < 2:
        return {}
    return {
        step.stage.name: stack.enter_context(
            Beside(
                lambda report, step=step: _computed(step, clip, {}, store, report),  # type: ignore[misc]
                partial(progress, step.stage.name) if progress else _unheard,
            )
        )
        for step in apart
    }


def _unheard(_share: float) -> None:
    """Report to nobody."""


@contextmanager
def _computed(
    step: Step, clip: Path, done: Mapping[str, Artifact], store: Store, report: Progress, *, keep: bool = True
) -> Iterator[Artifact]:
    """Lend the artifact of a step that is due, and log how long it took."""
    inputs = {name: done[name] for name in step.stage.inputs}
    began = time.monotonic()
    make = partial(_run, step, clip, inputs, store, report)
    with _lent(store, step.recipe, make, keep=keep, again=step.artifact is not None) as artifact:
        took = f"{time.monotonic() - began:.2f} s"
        _LOG.debug(
            "%s: %s computed in %s (%s), key %s", clip.name, step.stage.name, took, artifact.status, step.key[:16]
        )
        yield artifact


def cached(store: Store, recipe: Mapping[str, Any], make: Make) -> Artifact:
    """Return the artifact of a recipe, found or made, `ok` or `partial`; see the example at the head of this module.

    Raises:
        ClipError: The artifact could not be made: with the status and message of the stored failure or the one of now.
        StoreError: The store is full, or cannot be read or written.
    """
    with _lent(store, recipe, make) as artifact:
        if artifact.status not in (Status.OK, Status.PARTIAL):
            raise ClipError(artifact.status, artifact.message)
        return artifact


@contextmanager
def _lent(
    store: Store, recipe: Mapping[str, Any], make: Make, *, keep: bool = True, again: bool = False
) -> Iterator[Artifact]:
    """Lend the artifact of a recipe, found or made; what is not stored is lent for this block only.

    One that is stored is made `again` for the files of it that were not kept.
    """
    stage, key = str(recipe["stage"]), recipe_key(recipe)
    if not again and (found := store.find(stage, key)):
        yield found
        return
    with store.draft(stage, key) as draft:
        try:
            with _named_errors(store, stage):
                outcome = make(draft)
        except ClipError as error:
            outcome = Outcome(error.status, error.message)
            draft.clear()
        except MemoryError:
            outcome = Outcome(Status.OUT_OF_MEMORY, f"stage {stage} ran out of memory: close other programs")
            draft.clear()
        artifact = draft.seal(recipe, status=outcome.status, message=outcome.message, meta=outcome.meta)
        if keep and not again and artifact.status not in TRANSIENT:
            artifact = replace(store.publish(artifact), passing=artifact.passing)
        yield artifact


def _run(
    step: Step, clip: Path, inputs: Mapping[str, Artifact], store: Store, report: Progress, draft: Draft
) -> Outcome:
    report(0.0)
    outcome = step.stage.run(clip, inputs, draft, report)
    if step.stage.reads_clip and content_digest(clip, store) != step.recipe["source"]:
        raise ClipError(Status.UNREADABLE, f"{clip} was changed while it was read: run it again")
    return outcome


@contextmanager
def _named_errors(store: Store, stage: str = "") -> Iterator[None]:
    """Say in one sentence which file is at fault: one of the store's, or another that a stage opens by itself."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and concerns(error, store.root):
            raise unreadable(store.root, error) from error
        if error.filename is None or not stage:
            raise
        raise VidferError(f"stage {stage} cannot use {error.filename}: {error.strerror}") from error
