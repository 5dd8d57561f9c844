import hashlib
import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Lab:
    """A lab's web server: files by path, a registry of weights, and connections that break when told."""

    def __init__(self):
        self.files = {}
        self.cut_after = None  # bytes after which a connection is dropped
        self.requests = []
        lab = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                lab.answer(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self.registry = f"{self.base}/registry.json"

    def answer(self, request):
        span = request.headers.get("Range")
        self.requests.append((request.path, span))
        if request.path not in self.files:
            request.send_error(404)
            return
        content = self.files[request.path]
        start = int(span[len("bytes=") : -1]) if span else 0
        request.send_response(206 if span else 200)
        request.send_header("ETag", '"one"')
        request.send_header("Content-Length", str(len(content) - start))
        if span:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.end_headers()
        with suppress(ConnectionError):  # the client may have heard enough
            request.wfile.write(content[start : self.cut_after])
        request.close_connection = True

    def offer(self, name, path, *, kind="image", change=None):
        """Put weights and their card on the server, and into its registry; `change` is made to the entry last."""
        size, sha256 = 0, {}
        for suffix in (".safetensors", ".json"):
            data = path.with_suffix(suffix).read_bytes()
            self.files[f"/w/{name}{suffix}"] = data
            size += len(data)
            sha256[suffix] = hashlib.sha256(data).hexdigest()
        words = {"kind": kind, "licence": "MIT", "about": "a test's"}
        entry = {**words, "url": f"{self.base}/w/", "size": size, "sha256": sha256}
        if change:
            change(entry)
        weights = json.loads(self.files.get("/registry.json", b'{"weights": {}}'))["weights"]
        self.files["/registry.json"] = json.dumps({"weights": {**weights, name: entry}}).encode()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
