"""The `vidfer` command: it knows the verbs' names, and imports the chosen one only."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from io import TextIOWrapper

from vidfer import __version__
from vidfer.cli.ending import KeptInterrupts
from vidfer.cli.put import put, put_error
from vidfer.cli.wrap import wrap
from vidfer.types import DISPLAYED, StoppedError, UsageError, VidferError

VERBS = {
    "analyze": "turn videos into tables of displayed expressions",
    "compare": "compare the conditions of a study: means, differences, effect sizes, a plot",
    "plot": "draw timelines, distributions, confusion, reliability or embeddings of a run",
    "export": "write the results for ELAN, WebVTT players or py-feat",
    "people": "list the people of a run, or apply names and same_as of its people.csv",
    "app": "serve a web page and a REST service that analyse videos on this machine",
    "run": "run the chain up to a stage, or show what is stored already (--dry-run)",
    "cache": "list, verify or gc stored artifacts",
    "purge": "remove everything that derives from clips, and prove it",
    "pipeline": "run, plan or show the whole pipeline of trainings, to a bundle of models",
    "sweep": "search hyper-parameters of a training, on this machine",
    "train": "train the models of a stage: denoise, finetune or classify",
    "evaluate": "measure a model where the truth is known",
    "optimizers": "compare SGD, SGD with momentum, AdaGrad, RMSProp and Adam",
    "tables": "rerun the paper's tables and figures on named data",
    "download": "fetch a public data set",
    "data": "say where data sets are had, and whether they are there and whole",
    "weights": "list, pull and verify weights",
    "doctor": "say what is installed, what works, and how to mend the rest",
    "demo": "make a short clip of a bundled portrait and analyse it",
    "completion": "print the shell completion for bash, zsh or tcsh",
}
_TRAINS = ("train", "pipeline", "sweep", "evaluate", "optimizers", "tables")
_ABOUT = f"Turn videos into tables of displayed facial expressions.\n{DISPLAYED}"
TRAINING = {
    "denoise": "the generator that removes noise",
    "finetune": "the image network, on single faces",
    "classify": "the classifiers of clips: by sound, by frames, or by both",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 all fine, 1 something failed and was named, 2 wrong usage, 75 stopped."""
    try:
        with KeptInterrupts():
            return _main(argv)
    except KeyboardInterrupt:
        put("vidfer: interrupted; what was finished is kept, run the same command again to go on", error=True)
        return 130


def _main(argv: Sequence[str] | None) -> int:
    _open_closed_streams()
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # its own pool keeps what tables of hours took
    from vidfer.pipeline.safe_path import keep_path_safe
    from vidfer.pipeline.shortage import explained_shortages

    if argv is None:  # this process is the command's own
        keep_path_safe()
    try:
        with explained_shortages():
            try:
                return _run(list(sys.argv[1:] if argv is None else argv))
            finally:
                sys.stdout.flush()  # here, where a failure still has a sentence and an exit status
    except VidferError as error:
        _drop_unwritten()
        put_error("vidfer", error)
        return error.STATUS if isinstance(error, StoppedError) else 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:
        _drop_unwritten()
        return 141


def _drop_unwritten() -> None:
    """Forget what standard output does not take, so that the interpreter does not try again when it ends, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _run(words: list[str]) -> int:
    words = _verb_first(words)
    if words[:1] == ["--version"]:
        put(f"vidfer {__version__}")
        return 0
    verb = _choose("vidfer", VERBS, words, _ABOUT)
    if verb is None:
        return 0
    from vidfer.pipeline.extras import explained_imports

    with explained_imports(f"vidfer {verb}", "train" if verb in _TRAINS else ""):
        return _run_verb(verb, words)


def _run_verb(verb: str, words: list[str]) -> int:
    if verb == "train":
        stage = _choose("vidfer train", TRAINING, words[1:], "Train the models of a stage.")
        if stage is None:
            return 0
        from vidfer.cli.logs import separate, telling

        chosen, rest = separate(words[2:])
        with telling(chosen, ["vidfer", *words], others=True):
            from vidfer.cli.train import main as train

            return train(stage, rest)
    if words[:2] == ["cache", "purge"]:
        raise UsageError("it is `vidfer purge` now: --clip PATH, --before DATE, --expired or --all")
    module = import_module(f"vidfer.cli.{verb}")
    from vidfer.cli.options import load

    actions: dict[str, str] = getattr(module, "ACTIONS", {})
    if not actions:
        return _do(verb, f"vidfer.cli.{verb}.run", words[1:])
    wants_help = words[1:2] in (["-h"], ["--help"])
    helps = {name: load(f"{verb} {name}", place)[0].about if wants_help else "" for name, place in actions.items()}
    action = _choose(f"vidfer {verb}", helps, words[1:], f"{VERBS[verb].capitalize()}.")
    if action is None:
        return 0
    return _do(f"{verb} {action}", actions[action], words[2:])


def _do(name: str, function: str, words: Sequence[str]) -> int:
    """Run the function of a verb or action, and tell of its work as its options ask."""
    from vidfer.cli.logs import telling
    from vidfer.cli.options import load
    from vidfer.pipeline.extras import require

    parser, run = load(name, function)
    options = parser.parse(words)
    if name.split()[0] in _TRAINS:  # before hours of work
        require(f"vidfer {name}", "torch")
    with telling(parser.telling, ["vidfer", *name.split(), *words]):
        return run(options)


def _verb_first(words: list[str]) -> list[str]:
    """Move options that every verb takes, and that stand before it, behind it."""
    first = 0
    while first < len(words) and words[first] in ("-q", "--quiet", "-v", "--verbose", "--log-file"):
        first += 2 if words[first] == "--log-file" else 1
    return [*words[first:], *words[:first]]


def _choose(program: str, names: Mapping[str, str], words: Sequence[str], about: str) -> str | None:
    """Return the name that the first word is, or None where it asks for help; another word ends the process."""
    first = words[0] if words else ""
    if first in names:
        return first
    if first in ("-h", "--help"):
        width = max(map(len, names))
        indent = " " * (width + 4)
        lines = [wrap(f"  {name:<{width}}  {text}", sys.stdout, indent) for name, text in names.items()]
        note = f"'{program} NAME --help' says more about each. See also docs/reference/cli.md."
        put(f"usage: {program} NAME ...\n\n{about}\n\n" + "\n".join(lines) + f"\n\n{note}")
        return None
    from vidfer.types import did_you_mean

    near = did_you_mean(first, list(names))
    known = f"give one of {', '.join(names)}, or --help"
    put_error(program, f"there is no '{first}'{near or f': {known}'}" if first else known, wrapped=False)
    raise SystemExit(2)


def _open_closed_streams() -> None:
    """Open what the process was started without: services close standard streams, and a data file must not become one."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
    if isinstance(
        sys.stdout, TextIOWrapper
    ):  # names may have what it cannot hold, and are escaped, as in standard error
        sys.stdout.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
