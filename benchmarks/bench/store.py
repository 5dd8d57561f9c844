"""The store: what writing, finding and checking an artifact costs, beside the bare bytes."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .cost import Spent, call
from .figures import Figure, Measurement
from .plan import Plan

_SIZES = {"a shard of 256 crops, 19.7 MB": (256 * 160 * 160 * 3, 5), "a small artifact, 2 kB": (2000, 100)}
_ACTS = ("put", "get", "verify")


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure put, get (found, digests known) and verify (digests of all bytes) of a large artifact and of small ones."""
    for name, (size, count) in _SIZES.items():
        found: dict[str, Any] = call("store.acts", size=size, count=count, rounds=plan.rounds(5))
        for act in _ACTS:
            figures = {"CPU ms": Figure.of(found[act]), "wall ms": Figure.of(found[f"{act} wall"])}
            floor = f"bare {act}"
            ratios = {}
            if floor in found:
                pairs = zip(found[act], found[floor], strict=True)
                ratios["CPU / bare bytes"] = Figure.of([ours / bare for ours, bare in pairs])
            floors = {"bare bytes": Figure.of(found[floor])} if floor in found else {}
            yield Measurement("store", f"{act} {name}", figures, floors, ratios)


def acts(size: int, count: int, rounds: int) -> dict[str, list[float]]:
    """Return CPU and wall ms an artifact of `size` bytes for each act, as means over `count` of them, round by round."""
    import numpy as np
    from blake3 import blake3

    from vidfer.pipeline.digest import recipe_key
    from vidfer.pipeline.store import Store

    data, found = np.random.default_rng(0).bytes(size), dict[str, list[float]]()

    def timed(name: str, act: Callable[[int], object]) -> None:
        spent = Spent()
        with spent:
            for number in range(count):
                act(number)
        found.setdefault(name, []).append(1000 * spent.cpu / count)
        found.setdefault(f"{name} wall", []).append(1000 * spent.wall / count)

    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            store, plain = Store(Path(folder) / "store"), Path(folder) / "plain"
            plain.mkdir()
            recipes = [{"stage": "bench", "version": 1, "params": {"number": number}} for number in range(count)]
            keys = [recipe_key(recipe) for recipe in recipes]

            def put(number: int) -> None:
                with store.draft("bench", keys[number]) as draft:  # noqa: B023 - called before the loop goes on
                    draft.write("data", data)
                    store.publish(draft.seal(recipes[number]))  # noqa: B023

            def bare_put(number: int) -> None:
                blake3(data).hexdigest()
                with (plain / str(number)).open("wb") as file:  # noqa: B023
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())

            timed("put", put)
            timed("bare put", bare_put)
            timed("get", lambda number: store.find("bench", keys[number]))  # noqa: B023
            fresh = Store(store.root)
            timed("verify", lambda number: fresh.find("bench", keys[number]))  # noqa: B023
            timed("bare verify", lambda number: blake3((plain / str(number)).read_bytes()).digest())  # noqa: B023
    return found
