"""Python imports this first in every process of a command: it notes which of the watched packages are imported in any of them."""

import os
import sys

WATCHED = frozenset(os.environ["WATCHED_PACKAGES"].split())
SEEN = os.environ["WATCHED_FOLDER"]


def note(event, args):
    if event == "import" and (package := str(args[0]).partition(".")[0]) in WATCHED:
        os.close(os.open(os.path.join(SEEN, package), os.O_CREAT | os.O_WRONLY))  # noqa: PTH118


sys.addaudithook(note)
