"""`vidfer app`: a web page and a REST service on this machine."""

import importlib.util
import threading
import webbrowser
from typing import Final

from vidfer.app.settings import AppOptions
from vidfer.cli.display import say
from vidfer.types import UsageError

_NEEDED: Final = ("fastapi", "uvicorn", "python_multipart", "websockets")


def run(options: AppOptions) -> int:
    """Serve until Ctrl-C."""
    if lacking := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise UsageError(
            f"vidfer app needs {', '.join(lacking)}: run `make setup`, or pip install '.[app]' in the clone of vidfer"
        )
    from vidfer.app.server import Server

    server = Server(options)
    print(f"vidfer app: {server.address}", flush=True)
    if server.token:
        warning = "whoever has this address can send videos and see the faces in their own results"
        say(f"{warning}; the connection is plain HTTP, which others on the network can read")
    if server.everywhere:
        say("On other machines the address has this machine's name, or its address in the network, after http://.")
    say("Ctrl-C ends it, and removes what was sent.")
    if options.open:
        threading.Thread(target=webbrowser.open, args=[server.address], daemon=True).start()
    server.run()
    say("Ended; uploads and results are removed.")
    return 0
