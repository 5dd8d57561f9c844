"""Optuna's study of a sweep: its journal, and what chooses the next values."""

import itertools
import random
from pathlib import Path
from typing import TYPE_CHECKING

from vidfer.training.space import Value
from vidfer.training.sweep import Sweep
from vidfer.types import VidferError

if TYPE_CHECKING:
    import optuna


def grid_points(sweep: Sweep) -> list[dict[str, Value]]:
    """Return all combinations of a grid, mixed in an order that is always the same, so that few of them are spread."""
    if sweep.method != "grid":
        return []
    names = [each.name for each in sweep.parameters]
    points = [dict(zip(names, each, strict=True)) for each in itertools.product(*(p.grid() for p in sweep.parameters))]
    random.Random(0).shuffle(points)
    return points


def open_study(sweep: Sweep, journal: Path) -> "optuna.Study":
    """Open a sweep's journal, or begin it; other processes may have it open, too.

    Raises:
        VidferError: The journal is damaged.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    backend = JournalFileBackend(str(journal), lock_obj=JournalFileOpenLock(str(journal)))
    try:
        return optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            study_name="sweep",
            direction="maximize" if sweep.maximize else "minimize",
            load_if_exists=True,
        )
    except ValueError as error:  # JSON that ends early, as on a disk that was full
        raise VidferError(f"{journal} cannot be read ({error}): remove its last line, or the folder") from error


def make_sampler(sweep: Sweep, number: int) -> "optuna.samplers.BaseSampler":
    """Return what chooses the values of a trial; seeded by its number, so that no process repeats another's draws."""
    import optuna

    if sweep.method != "bayes":
        return optuna.samplers.RandomSampler(seed=number)
    return optuna.samplers.TPESampler(seed=number, constant_liar=True)  # which keeps off what is being tried
