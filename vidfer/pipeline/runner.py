"""Plan the stages of a clip as hits and misses, and run what is missing."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidfer.pipeline.digest import content_digest
from vidfer.pipeline.stage import Outcome, Progress, Stage
from vidfer.pipeline.store import Artifact, Store, StoreError, recipe_key
from vidfer.types import TRANSIENT, ClipError, Status

StageProgress = Callable[[str, float], None]
"""Called with a stage's name and the share of the clip it has done."""


@dataclass(frozen=True)
class Step:
    """One stage of one clip, as planned.

    Args:
        stage: The stage.
        recipe: Everything that decides its result.
        key: The recipe's key.
        state: `hit`, `miss`, or `damaged` when the stored artifact had to be put into quarantine.
        due: Whether running the target has to compute it: a miss that nothing reads any more is not due.
        artifact: The stored artifact of a hit.
    """

    stage: Stage
    recipe: Mapping[str, Any]
    key: str
    state: str
    due: bool
    artifact: Artifact | None


def plan(chain: Sequence[Stage], target: str, clip: Path, store: Store) -> list[Step]:
    """Compute the key of every stage up to `target` for a clip, and say which the store has.

    Every artifact found on the way is checked, whether the target needs it or not, so that damage anywhere in a clip's
    chain is found, and mended, by the next run over it.

    Raises:
        ClipError: `unreadable` when the clip cannot be read.
    """
    source = content_digest(clip, store)
    found: list[tuple[Stage, dict[str, Any], str, str, Artifact | None]] = []
    keys: dict[str, str] = {}
    for stage in _ancestry(chain, target):
        recipe = stage.recipe(source, keys)
        key = keys[stage.name] = recipe_key(recipe)
        artifact = store.find(stage.name, key)
        missing = "damaged" if (stage.name, key) in store.quarantined else "miss"
        found.append((stage, recipe, key, "hit" if artifact else missing, artifact))
    steps: list[Step] = []
    wanted = {target}
    for stage, recipe, key, state, artifact in reversed(found):
        due = state == "damaged" or (state == "miss" and stage.name in wanted)
        if due:
            wanted.update(stage.inputs)
        steps.insert(0, Step(stage, recipe, key, state, due, artifact))
    return steps


def _ancestry(chain: Sequence[Stage], target: str) -> list[Stage]:
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

    A stage that fails for a transient reason (a time-out, a crash, no memory) and whatever is computed from it are never
    stored: they live only as long as the block, and the next run tries again.

    Raises:
        ClipError: `unreadable` when the clip cannot be read.
        StoreError: The store is full or cannot be written. What was finished before stays.
    """
    with ExitStack() as stack:
        done: dict[str, Artifact] = {}
        passing: set[str] = set()
        for step in plan(chain, target, clip, store):
            if step.artifact is not None:
                done[step.stage.name] = step.artifact
            elif step.due:
                inputs = {name: done[name] for name in step.stage.inputs}
                kept = passing.isdisjoint(step.stage.inputs)
                report = _for_stage(progress, step.stage.name)
                artifact = _compute(step, clip, inputs, store, stack, report)
                if kept and artifact.status not in TRANSIENT:
                    artifact = store.publish(artifact)
                else:
                    passing.add(step.stage.name)
                store.quarantined.discard((step.stage.name, step.key))
                done[step.stage.name] = artifact
        yield done[target]


def _compute(
    step: Step, clip: Path, inputs: Mapping[str, Artifact], store: Store, stack: ExitStack, progress: Progress
) -> Artifact:
    draft = stack.enter_context(store.draft(step.stage.name, step.key))
    progress(0.0)
    try:
        outcome = step.stage.run(clip, inputs, draft, progress)
        if step.stage.reads_clip and content_digest(clip, store) != step.recipe["source"]:
            raise ClipError(Status.UNREADABLE, f"{clip} was changed while it was read: run it again")
    except ClipError as error:
        outcome = Outcome(error.status, error.message)
    except FileNotFoundError as error:
        message = f"{error.filename} was removed while it was in use (by `vidfer cache`?): run the same command again"
        raise StoreError(message) from error
    except MemoryError:
        outcome = Outcome(Status.OUT_OF_MEMORY, f"stage {step.stage.name} ran out of memory: close other programs")
    else:
        return draft.seal(step.recipe, status=outcome.status, message=outcome.message, meta=outcome.meta)
    shutil.rmtree(draft.path)
    draft = stack.enter_context(store.draft(step.stage.name, step.key))
    return draft.seal(step.recipe, status=outcome.status, message=outcome.message)


def _for_stage(progress: StageProgress | None, name: str) -> Progress:
    return (lambda share: progress(name, share)) if progress else (lambda _share: None)
