"""Write the weights of MTCNN's three networks, which facenet-pytorch ships in its wheel, as vidfer's, with card and graph.

python benchmarks/mtcnn_weights.py
"""

from pathlib import Path
from typing import Any, Final

from facenet_pytorch import MTCNN

from vidfer.inference.graphs import write_graph
from vidfer.weights.files import SHIPPED, find_weights, save_weights

SIZES: Final = (None, 24, 48)
LICENCE: Final = "Weights: MIT, Copyright (c) 2019 Timothy Esler; WIDER FACE and CelebA keep their own terms."


def card(arch: str, size: int | None) -> dict[str, Any]:
    """Return the card of one of the networks."""
    return {
        "kind": "detector",
        "arch": arch,
        "arguments": {},
        "preprocessing": {"image_size": size, "range": [-1, 1]},
        "data": {
            "source": "WIDER FACE and CelebA, by the authors of MTCNN (Zhang, Zhang, Li, Qiao 2016); taken from the wheel of "
            "facenet-pytorch 2.5.3, whose author converted them from David Sandberg's facenet. Not trained here",
        },
        "licence": LICENCE,
        "recipe": {"script": "benchmarks/mtcnn_weights.py"},
        "intended_use": "Finding faces in photographs and in the frames of recordings whose subjects agreed to it.",
        "prohibited_use": "Surveillance, and decisions about people. It says where a face is, not whose.",
    }


def main() -> None:
    """Write them into the package."""
    mtcnn = MTCNN()
    for name, size in zip(SHIPPED["detector"], SIZES, strict=True):
        arch = name.removeprefix("mtcnn_")
        path = Path("vidfer/weights") / f"{name}.safetensors"
        save_weights(path, getattr(mtcnn, arch).state_dict(), card(arch, size))
        graph = write_graph(find_weights("detector", path)).graph_path
        print(f"{path} ({path.stat().st_size:,} bytes) and {graph} ({graph.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
