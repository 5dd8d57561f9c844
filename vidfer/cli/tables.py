"""`vidfer tables`: the paper's tables and figures, measured anew on named data."""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from vidfer.cli.options import add_store_option, count
from vidfer.types import UsageError

if TYPE_CHECKING:
    from vidfer.paper.cells import Cell, Maker, Result

_EPILOG = """
Every classifier is trained on so many clips and tested on people that none of them shows; every denoiser on twice as many images.
A finished cell is kept in the store: after an interruption the same command goes on with the next one. The paper's own figures
are printed beside ours, marked as reported and not reproduced.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb."""
    parser = verbs.add_parser("tables", help="rerun the paper's tables and figures on named data", epilog=_EPILOG)
    parser.add_argument(
        "--data",
        required=True,
        metavar="NAME|DIR",
        help="paired, ravdess, crema_d, afew, folders, manifest, or a folder or CSV file of labelled clips; sample for "
        "generated ones",
    )
    parser.add_argument("--root", metavar="DIR", help="where they lie (default: the usual place below data/)")
    parser.add_argument(
        "--sizes",
        type=parse_sizes,
        default=(50, 100, 150, 200, 250, 300),
        metavar="N,N",
        help="training clips; denoisers get twice as many images (default: 50,100,150,200,250,300)",
    )
    parser.add_argument("--seeds", type=count, default=5, metavar="N", help="trainings of each cell (default: 5)")
    parser.add_argument(
        "--models", type=parse_models, metavar="NAME,NAME", help="of cnn, rcnn, lstm, dbn, rnn, gan (default: all)"
    )
    parser.add_argument("--tables", type=parse_tables, metavar="N,N", help="of 1 to 6 (default: all)")
    parser.add_argument(
        "--denoise-root",
        metavar="DIR",
        help="photographs of table 3, with set5 and set14 beside them, or 'sample' (default: data/bsds500; with --data "
        "sample: sample)",
    )
    parser.add_argument(
        "--steps", type=count, default=150, metavar="N", help="training steps of every denoiser (default: 150)"
    )
    parser.add_argument("--jobs", type=count, default=1, metavar="N", help="cells at once (default: 1)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where tables and figures go")
    add_store_option(parser)
    parser.set_defaults(run=_run)


def parse_sizes(text: str) -> tuple[int, ...]:
    """Parse numbers of samples, such as `50,100`.

    Raises:
        argparse.ArgumentTypeError: The text is no such list, or names a number twice.
    """
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of whole numbers from 1 on, such as 50,100")
    return tuple(sorted(int(part) for part in _each_once(text, [str(int(part)) for part in parts])))


def parse_models(text: str) -> tuple[str, ...]:
    """Parse names of models, such as `cnn,gan`; they come in the paper's order.

    Raises:
        argparse.ArgumentTypeError: A name is unknown, or stands there twice.
    """
    from vidfer.paper.tables import MODELS

    return _chosen(text, tuple(MODELS), "model")


def parse_tables(text: str) -> tuple[str, ...]:
    """Parse numbers of the paper's tables, such as `1,4`.

    Raises:
        argparse.ArgumentTypeError: There is no such table, or one stands there twice.
    """
    return _chosen(text, ("1", "2", "3", "4", "5", "6"), "table")


def _chosen(text: str, known: Sequence[str], what: str) -> tuple[str, ...]:
    names = text.split(",")
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"no {what} '{name}': there are {', '.join(known)}")
    _each_once(text, names)
    return tuple(name for name in known if name in names)


def _each_once(text: str, names: Sequence[str]) -> Sequence[str]:
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"'{text}' names something twice")
    return names


def make_makers(args: argparse.Namespace, tasks: Sequence[str], store: Path) -> "dict[str, Maker]":
    """Prepare the cells of the tasks that the tables need.

    Args:
        args: Parsed arguments.
        tasks: `classify`, `denoise`, or both.
        store: Folder of artifacts.

    Returns:
        A maker for each task.

    Raises:
        VidferError: Data are missing.
    """
    from vidfer.paper.makers import SAMPLE, make_classifiers, make_denoisers
    from vidfer.paper.tables import CLASSIFY, DENOISE

    makers = {}
    if CLASSIFY in tasks:
        makers[CLASSIFY] = make_classifiers(args.data, args.root, store)
    if DENOISE in tasks:
        root = args.denoise_root or (SAMPLE if args.data == SAMPLE else "data/bsds500")
        makers[DENOISE] = make_denoisers(root, args.steps, store)
    return makers


def _run(args: argparse.Namespace) -> int:
    from vidfer.paper.cells import list_cells
    from vidfer.paper.page import Rerun, write_rerun
    from vidfer.paper.summary import overview, summary
    from vidfer.paper.tables import CLASSIFY, MODELS, SIZE_RATIO, choose_tables
    from vidfer.pipeline.store import default_store

    store = args.store or default_store()
    _require_writable(args.out)
    tables, models = choose_tables(args.tables), args.models or tuple(MODELS)
    tasks = tuple(dict.fromkeys(table.task for table in tables))
    sizes = {
        task: args.sizes if task == CLASSIFY else tuple(SIZE_RATIO * size for size in args.sizes) for task in tasks
    }
    makers = make_makers(args, tasks, store)
    cells = list_cells(sizes, models, args.seeds)
    results = _compute(cells, makers, store, args.jobs)
    rerun = Rerun(
        tables=tables,
        models=models,
        sizes=sizes,
        seeds=args.seeds,
        results=[results[cell] for cell in cells],
        sources={task: maker.source for task, maker in makers.items()},
        about={task: maker.about for task, maker in makers.items()},
        command=_command(args),
    )
    page, *_ = write_rerun(rerun, args.out)
    for line in overview(rerun):
        print(line)
    print(json.dumps(summary(rerun, page), ensure_ascii=False))
    return int(any(result.figures is None for result in rerun.results))


def _require_writable(out: Path) -> None:
    """Find out now, and not after half an hour, whether results can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written: {error.strerror}") from error


def _command(args: argparse.Namespace) -> str:
    """Write the command down again, without what changes no figure."""
    words = ["vidfer", "tables", "--data", args.data]
    for name in ("root", "sizes", "seeds", "models", "tables", "denoise_root", "steps"):
        value = getattr(args, name)
        if value is not None:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words += [f"--{name.replace('_', '-')}", text]
    return f"{shlex.join(words)} --out DIR"


def _compute(cells: "Sequence[Cell]", makers: "Mapping[str, Maker]", store: Path, jobs: int) -> "dict[Cell, Result]":
    """Compute what the store does not have, and show how far it is."""
    from vidfer.paper.cells import find_cells, run_cells

    results = find_cells(cells, makers, store)
    due = [cell for cell in cells if cell not in results]
    start = time.monotonic()
    with _progress() as progress:
        for cell, result in results.items():
            if result.reason:
                progress.console.print(f"{cell}: {result.status}: {result.reason}", markup=False, highlight=False)
        bar = progress.add_task("cells", total=len(cells), completed=len(results))
        for result in run_cells(due, makers, store, jobs):
            results[result.cell] = result
            progress.update(bar, completed=len(results), description=str(result.cell))
            if result.reason:
                progress.console.print(
                    f"{result.cell}: {result.status}: {result.reason}", markup=False, highlight=False
                )
            elif not progress.console.is_terminal:
                spent = f"{time.monotonic() - start:.0f} s"
                progress.console.print(f"{len(results)}/{len(cells)} after {spent}: {result.cell}", highlight=False)
    return results


def _progress() -> Any:  # noqa: ANN401 - rich's Progress, imported only here
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True, soft_wrap=True),
        speed_estimate_period=600,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
