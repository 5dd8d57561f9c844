"""The `vidfer` command: one file a verb, heavy imports inside the verbs."""

import argparse
import sys
from collections.abc import Sequence

from vidfer import __version__
from vidfer.cli import analyze, cache, demo, doctor, download, evaluate, optimizers, run, tables, weights
from vidfer.types import UsageError, VidferError

_VERBS = (analyze, run, cache, evaluate, optimizers, tables, download, weights, doctor, demo)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="vidfer",
        description="Turn videos into tables of displayed facial expressions. "
        "What is measured is the expression shown, never what a person feels.",
    )
    parser.add_argument("--version", action="version", version=f"vidfer {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in _VERBS:
        verb.add_parser(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 all fine, 1 something failed and was named, 2 wrong usage."""
    args = build_parser().parse_args(argv)
    try:
        status: int = args.run(args)
    except VidferError as error:
        print(f"vidfer: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("vidfer: interrupted; what was finished is kept, run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    return status


if __name__ == "__main__":
    sys.exit(main())
