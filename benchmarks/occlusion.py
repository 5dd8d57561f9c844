"""Train and measure the network that says how far a face's eyes and mouth are covered (`vidfer.models.occlusion`).

    python benchmarks/occlusion.py --data data --out vidfer/weights/occlusion.safetensors
    python benchmarks/occlusion.py --data data --leave-out hand       # measured on a kind of occluder that it never met

It learns from drawn occluders (`vidfer.datasets.occluders`) in front of training rows of FER2013 and photographs of
`faces_wild`, half of them uncovered. Held out are 5 % of FER2013's rows by content, 10 % of the persons of `faces_wild`, and the
photographs of BSDS500's test folder, whose texture the held-out occluders have.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F  # noqa: N812 - the usual name

from vidfer.datasets.occluders import OCCLUDERS, cover
from vidfer.datasets.soft_labels import SoftFaces, read_soft_fer2013, read_wild
from vidfer.models.occlusion import OcclusionNet
from vidfer.models.regions import REGIONS, SIDE, covered_shares
from vidfer.weights.files import save_weights

Gray = npt.NDArray[np.uint8]

TEACHERS = {"large": 0.7, "small": 0.3}
"""Weights of the teachers in a face's label."""


def read_photos(data: Path, split: str) -> list[Gray]:
    """Read the photographs of a folder of BSDS500, gray."""
    return [np.asarray(cv2.imread(str(path), 0), np.uint8) for path in sorted((data / "bsds500" / split).iterdir())]


def read_faces(data: Path) -> tuple[SoftFaces, SoftFaces]:
    """Read gray faces of FER2013's training rows, 48x48, and of `faces_wild`, 128x128, with what training holds out."""
    fer, _ = read_soft_fer2013(data / "fer2013", TEACHERS, 0.05)
    wild, _ = read_wild(data / "faces_wild", TEACHERS, 10, 128)
    return fer, wild


def degrade(face: Gray, rng: np.random.Generator) -> Gray:
    """Move a face a little, and record it as a poor camera does; `(S, S)` to 48x48."""
    size = len(face)
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), rng.normal(0, 5), rng.uniform(0.9, 1.12))
    matrix = matrix + np.pad(rng.normal(0, 0.02, (2, 1)) * size, ((0, 0), (2, 0)))
    face = cv2.warpAffine(face, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE).astype(np.uint8)
    edge = int(rng.integers(16, 49)) if rng.random() < 0.4 else SIDE
    image: npt.NDArray[np.floating] = cv2.resize(face, (edge, edge), interpolation=cv2.INTER_AREA).astype(np.float32)
    image = np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))
    if rng.random() < 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6)))
    image = 255 * (image / 255) ** rng.uniform(0.6, 1.6) * rng.choice([1.0, rng.uniform(0.08, 1.4)])
    if rng.random() < 0.3:
        image = image + rng.normal(0, rng.uniform(0, 12), image.shape)
    eight = np.rint(image).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        packed = cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 90))])[1]
        eight = np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)
    return np.asarray(eight[:, ::-1] if rng.random() < 0.5 else eight)


class Examples:
    """Draws examples from faces, texture, and kinds of occluder."""

    def __init__(self, faces: Sequence[Gray], photos: Sequence[Gray], kinds: Sequence[str], seed: int) -> None:
        self.faces, self.photos, self.kinds = faces, photos, kinds
        self.rng = np.random.default_rng(seed)

    def draw(self, count: int, covered: float = 0.6) -> tuple[Gray, npt.NDArray[np.float32]]:
        """Return faces `(N, 48, 48)` and the covered shares `(N, 2)`; a share `covered` of them has an occluder."""
        images, targets = [], []
        for _ in range(count):
            face, share = self.faces[int(self.rng.integers(len(self.faces)))], np.zeros(len(REGIONS))
            if self.rng.random() < covered:
                face, mask = cover(face, str(self.rng.choice(self.kinds)), self.rng, self.photos, self.faces)
                share = covered_shares(mask)
            images.append(degrade(face, self.rng))
            targets.append(share)
        return np.stack(images), np.array(targets, np.float32)


def train(examples: Examples, steps: int, batch: int) -> OcclusionNet:
    """Train by the cross-entropy of the shares, Adam, cosine schedule from 2e-3."""
    torch.manual_seed(0)
    network = OcclusionNet()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    begun, sums = time.monotonic(), 0.0
    for step in range(1, steps + 1):
        images, targets = examples.draw(batch)
        logits = network(torch.from_numpy(images)[:, None].float() / 255)
        loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(targets))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        sums += loss.item()
        if step % 500 == 0:
            print(f"  {step}/{steps}: loss {sums / 500:.4f}, {time.monotonic() - begun:.0f} s")
            sums = 0.0
    return network.eval()


@torch.inference_mode()
def measure(network: OcclusionNet, examples: Examples, count: int) -> list[dict[str, float | int | str]]:
    """Measure, for each region, telling apart faces with at least a third of it covered from those with at most 2 %."""
    images, targets = examples.draw(count)
    found = network(torch.from_numpy(images)[:, None].float() / 255).sigmoid().numpy()
    rows: list[dict[str, float | int | str]] = []
    rng = np.random.default_rng(0)
    for place, region in enumerate(REGIONS):
        told, share = found[:, place], targets[:, place]
        clear = (share <= 0.02) | (share >= 1 / 3)
        truth, score = share[clear] >= 1 / 3, told[clear]
        draws = [rng.integers(0, len(truth), len(truth)) for _ in range(500)]
        low, high = np.quantile([roc_auc_score(truth[each], score[each]) for each in draws], [0.025, 0.975])
        rows.append(
            {
                **{
                    "on": f"held-out faces and drawn occluders ({', '.join(examples.kinds)}), {region}",
                    "n": len(truth),
                },
                **{"auc": round(float(roc_auc_score(truth, score)), 4), "auc_low": round(float(low), 4)},
                **{"auc_high": round(float(high), 4), "mean_error": round(float(np.abs(told - share).mean()), 4)},
                **{"found_at_0.5": round(float((score[truth] >= 0.5).mean()), 4)},
                **{"false_at_0.5": round(float((score[~truth] >= 0.5).mean()), 4)},
            }
        )
    return rows


def main() -> None:
    """Train, measure, print, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, help="weights, with their card beside them")
    parser.add_argument("--leave-out", choices=tuple(OCCLUDERS), help="kind of occluder that is only measured")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    sources = read_faces(args.data)
    known = [face for faces in sources for face in faces.image[~faces.held_out]]
    unknown = [face for faces in sources for face in faces.image[faces.held_out]]
    kinds = [kind for kind in OCCLUDERS if kind != args.leave_out]
    network = train(Examples(known, read_photos(args.data, "train"), kinds, 0), args.steps, args.batch)
    measured = [args.leave_out] if args.leave_out else kinds
    metrics = measure(network, Examples(unknown, read_photos(args.data, "test"), measured, 1), 6000)
    for row in metrics:
        print(row)
    if args.out:
        card = {
            **{"kind": "occlusion", "arch": "occlusion", "arguments": {}, "preprocessing": {"size": SIDE}},
            "data": {
                "source": "FER2013 and faces_wild behind drawn occluders; texture from bsds500",
                **{"faces": len(known), "held_out": len(unknown), "dropped": "flat and repeated images"},
            },
            "licence": "for research, as FER2013 and the photographs of faces_wild are.",
            "recipe": {"steps": args.steps, "batch": args.batch, "optimizer": "Adam 2e-3, cosine"},
            "metrics": metrics,
            "intended_use": "Saying how much of a face's eyes and mouth is hidden, so that hidden faces count less.",
            "prohibited_use": "Saying what hides a face, such as whether a person wears a mask or a veil.",
        }
        save_weights(args.out, network.state_dict(), card)


if __name__ == "__main__":
    main()
