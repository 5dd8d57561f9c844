"""Each stage alone on the artifacts of those before it, beside the bare passes that it makes."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from .clips import Clip
from .cost import call, whole_tree
from .figures import Figure, Measurement
from .parts import metered
from .plan import Plan

_PASSES = {"faces": ("detector", "networks"), "denoise": ("networks",), "finetune": ("networks",)}
"""The passes that a stage cannot do without; the stages of tables and sound have floors of other kinds."""


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure the stages at every frame of 10 s of 640x480 with one face, with every face denoised and without."""
    clip = plan.clip or Clip().path()
    for denoise in ("off", "on"):
        found: dict[str, Any] = call("stages.alone", clip=clip, rounds=plan.rounds(3), denoise=denoise)
        for name, spent in found.items():
            if denoise == "off" or name == "denoise":
                yield _stage(f"{name}, every face denoised" if denoise == "on" else name, name, spent)


def _stage(title: str, name: str, spent: dict[str, list[float]]) -> Measurement:
    figures = {"CPU s": Figure.of(spent["chain"]), "wall s": Figure.of(spent["wall"])}
    present = [each for each in _PASSES.get(name, ()) if each in spent]
    ratios = {}
    if present:
        least = [sum(spent[each][number] for each in present) for number in range(len(spent["chain"]))]
        ratios["CPU / bare passes"] = Figure.of([ours / bare for ours, bare in zip(spent["chain"], least, strict=True)])
    floors = {f"bare {each}": Figure.of(spent[each]) for each in present}
    faces = int(spent["faces"][0])
    if name in ("denoise", "finetune") and faces:
        figures["CPU ms a face"] = Figure.of([1000 * cpu / faces for cpu in spent["chain"]])
    return Measurement("stages", title, figures, floors, ratios, facts={"faces": faces})


def alone(
    clip: str, rounds: int, denoise: Literal["on", "off", "auto"], fps: float | None = None
) -> dict[str, dict[str, list[float]]]:
    """Run the chain once, then each stage so many times on what lies in the store; every frame is looked at without `fps`.

    Returns:
        By stage: `chain` and `wall`, seconds of each round; CPU seconds of `detector` and `networks` within; `faces`, a count;
        `bytes` and `files` of its artifact, the manifest included.
    """
    from vidfer.pipeline.runner import finished, plan
    from vidfer.pipeline.store import Store
    from vidfer.stages.chain import ChainOptions, build_chain

    chain = build_chain(ChainOptions(every=1 if fps is None else None, fps=fps or 5.0, denoise=denoise))
    spent: dict[str, dict[str, list[float]]] = {stage.name: defaultdict(list) for stage in chain}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        with finished(chain, "report", Path(clip), store):
            steps = plan(chain, "report", Path(clip), store)
        artifacts = {step.stage.name: step.artifact for step in steps if step.artifact is not None}
        for name, artifact in artifacts.items():
            sizes = [path.stat().st_size for path in artifact.path.iterdir()]
            spent[name]["bytes"], spent[name]["files"] = [sum(sizes)], [len(sizes)]
        for _ in range(rounds):
            for stage in chain:
                inputs = {name: artifacts[name] for name in stage.inputs}
                stage.warm()
                draft = store.draft(stage.name, artifacts[stage.name].key)
                with draft, metered() as meter, whole_tree() as cost:
                    stage.run(Path(clip), inputs, draft, lambda _: None)
                found = spent[stage.name]
                found["chain"].append(cost[0].cpu)
                found["wall"].append(cost[0].wall)
                found["faces"].append(artifacts["faces"].meta["faces"])
                for name, cpu in meter.spent.items():
                    found[name].append(cpu)
    return spent
