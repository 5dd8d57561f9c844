"""`vidfer app`: a web page and a REST service on this machine."""

import threading
import webbrowser

from vidfer.app.settings import AppOptions
from vidfer.cli.display import say
from vidfer.cli.put import put
from vidfer.pipeline.extras import EXTRAS, require


def run(options: AppOptions) -> int:
    """Serve until Ctrl-C."""
    require("vidfer app", *EXTRAS["app"])
    from vidfer.app.server import Server

    server = Server(options)
    put(f"vidfer app: {server.address}", flush=True)
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
