"""Children that work in this process, which takes less time than to start one."""

import json


def in_process(handle):
    """Return a class that takes the place of `vidfer.media.child.Child` and answers by `handle`."""

    class InProcess:
        left = 0.0

        def __init__(self, _module, **_limits):
            self.answers = (each for each in ())

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.answers.close()

        def send(self, request):
            self.answers = handle(json.loads(json.dumps(request)))

        def receive(self):
            header, payload = next(self.answers)
            return json.loads(json.dumps(header)), memoryview(b"" if payload is None else bytes(payload))

    return InProcess
