"""`vidfer purge`: remove everything that derives from clips, and look for it again."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vidfer.cli.display import say
from vidfer.cli.put import one_line, put
from vidfer.types import UsageError

if TYPE_CHECKING:
    from vidfer.api.purging import Chosen, Places, Purge

_SEVERAL: Final = {"nargs": "+", "action": "store"}


@dataclass(frozen=True)
class PurgeOptions:
    """Remove everything that derives from clips, and prove it; without --yes only say what.

    Artifacts, rows, pages, figures, exports, uploads of the app and lines of logs go; the clips themselves stay. Exit status: 0
    when nothing is left, 1 when something is, which is named, 2 for wrong usage.

    Args:
        clip: Clips, folders of clips, or digests of clips (source_blake3 in clips.csv).
        before: Clips of which everything was analysed before that day.
        expired: Clips whose retain_until is past, and those without consent, by participants.csv or their results.
        all: All clips.
        out: Folders of results that are looked through, too (default: vidfer-results, where it is).
        log: Files that --log-file wrote, of which lines go.
        yes: Really remove.
        store: Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache).
    """

    clip: list[str] = field(default_factory=list, metadata=_SEVERAL | {"metavar": "PATH|DIGEST"})
    before: str | None = field(default=None, metadata={"metavar": "DATE"})
    expired: bool = False
    all: bool = False
    out: list[str] = field(default_factory=list, metadata=_SEVERAL | {"metavar": "DIR"})
    log: list[str] = field(default_factory=list, metadata=_SEVERAL | {"metavar": "FILE"})
    yes: bool = False
    store: str | None = field(default=None, metadata={"metavar": "DIR|URL"})

    def __post_init__(self) -> None:
        """Raise UsageError unless one choice is made, of places that are there."""
        if [bool(self.clip), self.before is not None, self.expired, self.all].count(True) != 1:
            raise UsageError("name what to remove: --clip PATH, --before DATE, --expired or --all, one of them")
        if missing := [path for path in self.out if not Path(path).is_dir()]:
            raise UsageError(f"--out {missing[0]}: there is no such folder")
        if missing := [path for path in self.log if not Path(path).is_file()]:
            raise UsageError(f"--log {missing[0]}: there is no such file")
        if self.before is not None:
            self.day()

    def day(self) -> date:
        """Return the day that `--before` names."""
        try:
            return date.fromisoformat(self.before or "")
        except ValueError as error:
            raise UsageError(f"--before is '{self.before}': write a day such as 2027-01-31") from error


def run(options: PurgeOptions) -> int:
    """Print what goes, remove it, and print what was looked through and what is left."""
    from vidfer.api.purging import Places, Purge
    from vidfer.pipeline.store import Store, default_store

    usual = Path("vidfer-results")
    folders = [Path(path) for path in options.out] or ([usual] if usual.is_dir() else [])
    places = Places(Store(options.store or default_store()), folders, [Path(path) for path in options.log])
    chosen = _choose(options, places)
    for note in (*places.notes(), *chosen.notes):
        say(note)
    purge = Purge.plan(places, chosen)
    _print_plan(purge, really=options.yes)
    if not options.yes:
        return 0
    purge.remove()
    return _print_proof(purge)


def _choose(options: PurgeOptions, places: "Places") -> "Chosen":
    from vidfer.api.purging import choose_all, choose_before, choose_expired, choose_named

    if options.clip:
        return choose_named(places, options.clip, say)
    if options.before is not None:
        return choose_before(places, options.day())
    return choose_expired(places) if options.expired else choose_all(places)


def _print_plan(purge: "Purge", *, really: bool) -> None:
    from rich.filesize import decimal

    for entry in purge.entries:
        where = "" if purge.places.store.remote is None else "\tremote" if entry.names else "\tmirror"
        put(f"{entry.stage}\t{entry.size}\t{entry.key}{where}")
    n_files = n_lines = 0
    for path in purge.files():
        put(f"file\t{one_line(path)}")
        n_files += 1
    for log, n_gone in purge.lines():
        put(f"lines\t{n_gone}\t{one_line(log)}")
        n_lines += n_gone
    clips = len({(clip.run, clip.clip_id) for clip in purge.chosen.clips})
    if not (purge.entries or n_files or n_lines or clips):
        say("nothing there is of what was chosen: nothing to remove")
        return
    size = decimal(sum(entry.size for entry in purge.entries))
    what = (
        f"{len(purge.entries)} artifacts and leftovers ({size}), {n_files} files, {n_lines} lines of logs, and the rows of "
        f"{clips} {'clip' if clips == 1 else 'clips'} in the results"
    )
    say(f"removing {what}" if really else f"{what} would be removed; say --yes to do it")


def _print_proof(purge: "Purge") -> int:
    from vidfer.api.purge_proof import out_of_reach, prove
    from vidfer.cli.display import fault

    proof = prove(purge)
    where = ", ".join(map(str, (purge.places.store.place, *purge.places.folders, *purge.places.logs)))
    put(f"Looked through {proof.n_files} files for digests, keys and names, and the places of {proof.n_named}: {where}")
    for each in proof.left:
        fault(f"left: {each}")
    put(f"Left: {len(proof.left)}, named above" if proof.left else "Nothing is left there.")
    put("Not reached:")
    for each in out_of_reach(purge, proof):
        put(f"- {each}")
    return 1 if proof.left else 0
