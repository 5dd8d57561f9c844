"""Calls one function of this package for `cost.call`: `python -m benchmarks.bench.child MODULE.FUNCTION JSON`."""

import json
import sys
from importlib import import_module


def main() -> None:
    """Call the function and print its result as the last line."""
    module, _, function = sys.argv[1].rpartition(".")
    result = getattr(import_module(f"{__package__}.{module}"), function)(**json.loads(sys.argv[2]))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
