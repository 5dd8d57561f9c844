"""`vidfer completion`: the shell completion of this command line."""

from dataclasses import dataclass, field
from importlib import import_module
from typing import Literal

from vidfer.cli.options import POSITIONAL, StrictParser, load
from vidfer.cli.put import put
from vidfer.pipeline.extras import explained_imports
from vidfer.types import UsageError


@dataclass(frozen=True)
class CompletionOptions:
    """Print the completion of this command line: `source <(vidfer completion bash)`.

    Args:
        shell: For which shell.
    """

    shell: Literal["bash", "zsh", "tcsh"] = field(metadata=POSITIONAL)


def run(options: CompletionOptions) -> int:
    """Build the parsers of all verbs, and print what shtab makes of them; options only of those that can run here."""
    from vidfer.cli.main import TRAINING, VERBS

    root = StrictParser(prog="vidfer")
    verbs = root.add_subcommands(dest="verb")
    for verb, text in VERBS.items():
        try:
            with explained_imports(f"vidfer {verb}"):
                module = None if verb == "train" else import_module(f"vidfer.cli.{verb}")
        except UsageError:
            verbs.add_subcommand(verb, StrictParser(description=text), help=text)
            continue
        if hasattr(module, "run"):
            verbs.add_subcommand(verb, load(verb, f"vidfer.cli.{verb}.run")[0], help=text)
            continue
        parser = StrictParser(description=text)
        verbs.add_subcommand(verb, parser, help=text)
        inside = parser.add_subcommands(dest="action")
        for action, place in (TRAINING if module is None else module.ACTIONS).items():
            found = StrictParser(description=place) if module is None else load(f"{verb} {action}", place)[0]
            inside.add_subcommand(action, found, help=found.description)
    put(root.get_completion_script(f"shtab-{options.shell}"))
    return 0
