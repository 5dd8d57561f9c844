"""The paper's preset: Inception-ResNet-v2 at 299 px, every face denoised, five frames a second of 640x480."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .clips import Clip, cache_folder
from .cost import CommandError, call, run, vidfer
from .figures import Bar, Figure, Measurement
from .plan import Plan

_NAME = "inception_resnet_v2"


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure 30 s with weights at random, which cost what trained ones do; nothing when quick."""
    if plan.quick:
        return
    weights, clip = call("paper.random_weights"), Clip(seconds=30)
    path = plan.clip or clip.path()
    found: dict[str, Any] = call("paper.passes", clip=path, weights=weights, rounds=2)
    walls, costs = [], []
    for _ in range(2):
        folder = plan.folder("paper")
        places = ("--store", folder / "store", "--out", folder / "out")
        cost = run(vidfer("analyze", path, "--preset", "paper", "--image-model", weights, *places))
        walls.append(cost.wall)
        costs.append(cost.cpu)
    seconds = found["seconds"][0]
    figures = {
        "wall s": Figure.of(walls),
        "CPU s": Figure.of(costs),
        "times real time": Figure.of([seconds / wall for wall in walls]),
        "warm CPU s": Figure.of(found["chain"]),
        "passes' share of CPU": Figure.of([a / b for a, b in zip(found["networks"], found["chain"], strict=True)]),
    }
    ratio = Figure.of([b / a for a, b in zip(found["networks"], found["chain"], strict=True)])
    bars = [Bar("times real time", 1.0, least=True), Bar("passes' share of CPU", 0.75, least=True)]
    floors = {"forward passes": Figure.of(found["networks"])}
    facts = {"faces": found["faces"][0], "s of video": seconds}
    yield Measurement("paper", "640x480, one face", figures, floors, {"CPU / passes": ratio}, bars, facts)


def random_weights() -> str:
    """Write weights at random with a card and a graph into the cache folder, unless they are there; return the file."""
    path = cache_folder() / f"{_NAME}_random_once.safetensors"
    if path.exists() and path.with_suffix(".onnx").exists():
        return str(path)
    import torch

    from vidfer.inference.graphs import write_graph
    from vidfer.models.backbone import build_backbone
    from vidfer.models.preprocess import Preprocessing
    from vidfer.weights.files import find_weights, save_weights

    torch.manual_seed(0)
    network = build_backbone(_NAME, in_chans=3).eval()
    card = {
        "kind": "image",
        "arch": _NAME,
        "arguments": {"in_chans": 3},
        "preprocessing": Preprocessing(
            image_size=299, in_chans=3, mirrored=False
        ).as_card(),  # as configs/finetune.yaml
    }
    save_weights(path, network.state_dict(), card)
    write_graph(find_weights("image", path))
    return str(path)


def passes(clip: str, weights: str, rounds: int) -> dict[str, list[float]]:
    """Return CPU seconds of the chain with models loaded, and those inside forward passes of all networks, MTCNN's included."""
    import tempfile

    from vidfer import Analyzer
    from vidfer.media.decode import probe

    from .cost import whole_tree
    from .parts import metered

    length = probe(clip).duration
    if not length:
        raise CommandError(f"{clip} does not say how long it is")
    found: dict[str, list[float]] = {"seconds": [length]}
    options: Any = {"preset": "paper", "image_model": weights}
    with tempfile.TemporaryDirectory() as folder, Analyzer(store=Path(folder) / "warm", **options).warm() as analyzer:
        analyzer.analyze(Clip(seconds=1).path())
        for number in range(rounds):
            with metered() as meter, whole_tree() as cost:
                result = Analyzer(store=Path(folder) / str(number), **options).analyze(clip).raise_for_status()
            found.setdefault("chain", []).append(cost[0].cpu)
            found.setdefault("networks", []).append(meter.spent["networks"] + meter.spent["detector"])
            found.setdefault("faces", []).append(result.summary["faces"]["n_faces"])
    return found
