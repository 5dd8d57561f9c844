"""Train image networks on FER2013, FER+ votes, teachers' soft labels and wild faces at once, on one CUDA device.

One trunk has a head for each labelling convention: `fer2013` (FER2013's labels), `ferplus` (FER+'s vote distribution) and
`video` (two AffectNet teachers). All images are kept and augmented on the device.

    python benchmarks/gpu_faces.py pack --data data --out .gpu/faces.npz
    python benchmarks/gpu_faces.py train --pack .gpu/faces.npz --arch mobilenetv3_large_075 --size 112 --seconds 300 --out OUT

Held out and dropped is what `vidfer.datasets.soft_labels` says: 5 % of FER2013's training rows, and 10 % of the persons of the
wild faces. The learning rate follows the share of the time that has passed, so the schedule is known beforehand.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from vidfer.datasets.soft_labels import read_soft_fer2013, read_wild
from vidfer.models.backbone import build_backbone
from vidfer.models.layout import channels_last
from vidfer.models.preprocess import Preprocessing
from vidfer.types import EMOTIONS

HEADS = ("fer2013", "ferplus", "video")
TEACHERS = {"large": 0.7, "small": 0.3}
HELD_OUT_ROWS, HELD_OUT_PERSONS = 20, 10  # one in so many
WILD_SIZE = 112


def pack(data: Path, out: Path) -> None:
    """Collect images as WebP and all their targets in one file that is small enough to carry to another machine.

    Args:
        data: Folder that holds `fer2013/` and `faces_wild/`.
        out: The `.npz` file.
    """
    import cv2

    fer, _ = read_soft_fer2013(data / "fer2013", TEACHERS, 1 / HELD_OUT_ROWS)
    wild, _ = read_wild(data / "faces_wild", TEACHERS, HELD_OUT_PERSONS, WILD_SIZE)
    kept: dict[str, Any] = {}
    for name, faces, quality in (("fer", fer, 92), ("wild", wild, 85)):
        images = [cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])[1] for image in faces.image]
        kept |= {name: np.concatenate(images), f"{name}_at": np.cumsum([0] + [len(each) for each in images])}
        kept |= {f"{name}_video": faces.teacher.astype(np.float16), f"{name}_held": faces.held_out}
    kept |= {"label": fer.label.astype(np.int8), "votes": fer.votes.astype(np.float16)}
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as file:
        np.savez(file, **kept)
    print(
        f"{len(fer.name)} rows of FER2013 ({fer.held_out.sum()} held out), {len(wild.name)} wild faces: "
        f"{out.stat().st_size / 2**20:.1f} MiB"
    )


class Faces:
    """All images and targets on one device.

    Args:
        path: What `pack` wrote.
        device: Where to keep them.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        import cv2

        with np.load(path) as kept:
            given = {name: kept[name] for name in kept.files}
        decoded = {
            name: np.stack(
                [
                    np.asarray(cv2.imdecode(given[name][at:end], cv2.IMREAD_GRAYSCALE))
                    for at, end in zip(given[f"{name}_at"][:-1], given[f"{name}_at"][1:], strict=True)
                ]
            )
            for name in ("fer", "wild")
        }
        self.fer, self.wild = (torch.from_numpy(decoded[name]).to(device)[:, None] for name in ("fer", "wild"))
        self.label = torch.from_numpy(given["label"].astype(np.int64)).to(device)
        self.votes = torch.from_numpy(given["votes"].astype(np.float32)).to(device)
        self.video, self.soft = (
            _normalise(torch.from_numpy(given[f"{name}_video"].astype(np.float32)).to(device))
            for name in ("fer", "wild")
        )
        held, kept_out = (torch.from_numpy(given[f"{name}_held"]).to(device) for name in ("fer", "wild"))
        self.rows = {"train": (~held).nonzero()[:, 0], "val": held.nonzero()[:, 0]}
        self.wild_rows = {"train": (~kept_out).nonzero()[:, 0], "val": kept_out.nonzero()[:, 0]}
        video = torch.cat([self.video[self.rows["train"]], self.soft[self.wild_rows["train"]]]).mean(0)
        self.video_weight = video**-0.6 / (video**0.4).sum()


def _normalise(target: Tensor) -> Tensor:
    return target / target.sum(-1, keepdim=True).clamp_min(1e-6)


def augment(image: Tensor, size: int) -> Tensor:
    """Draw one view of each image: geometry, light, blur, low resolution, compression, noise, occlusion.

    Args:
        image: uint8 `(B, 1, H, H)`.
        size: Edge of the views in px.

    Returns:
        Views, float in [0, 1], `(B, 1, size, size)`.
    """
    count, device = len(image), image.device

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, device=device) * (high - low) + low

    def some(share: float) -> Tensor:
        return (torch.rand(count, 1, 1, 1, device=device) < share).float()

    angle, zoom = draw(-0.35, 0.35), torch.exp(draw(math.log(0.75), math.log(1.15)))
    shear, stretch = draw(-0.1, 0.1), draw(0.92, 1.08)
    mirror = (torch.rand(count, device=device) < 0.5).float() * 2 - 1
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    rows = torch.stack(
        [
            torch.stack([cos * mirror * stretch, (shear - 1) * sin, draw(-0.1, 0.1)], 1),
            torch.stack([sin * mirror, cos + shear * sin, draw(-0.1, 0.1)], 1),
        ],
        1,
    )
    grid = F.affine_grid(rows, [count, 1, size, size], align_corners=False)
    view = F.grid_sample(image.float() / 255, grid, mode="bilinear", padding_mode="border", align_corners=False)
    view = (view.clamp_min(1e-4) ** torch.exp(draw(-0.6, 0.6, 1, 1, 1))) * torch.exp(draw(-0.35, 0.3, 1, 1, 1))
    slope = draw(-0.5, 0.5, 1, 1, 1) * torch.linspace(-1, 1, size, device=device)  # light from one side
    view = (view * (1 + some(0.4) * slope)).clamp(0, 1)
    for edge in (size // 2, size // 3, size // 4):  # seen from afar
        small = F.interpolate(view, (edge, edge), mode="bilinear", antialias=True, align_corners=False)
        view = torch.lerp(view, F.interpolate(small, (size, size), mode="bilinear", align_corners=False), some(0.12))
    view = torch.lerp(view, _compress(view), some(0.3))
    view = (view + some(0.3) * draw(0, 0.07, 1, 1, 1) * torch.randn_like(view)).clamp(0, 1)
    across = torch.arange(size, device=device)[None] / size
    left, top, wide, high = draw(-0.1, 0.9, 1), draw(-0.1, 0.9, 1), draw(0.1, 0.4, 1), draw(0.1, 0.4, 1)
    hidden = ((across > left) & (across < left + wide))[:, None, None, :] & ((across > top) & (across < top + high))[
        :, None, :, None
    ]
    return torch.lerp(view, draw(0, 1, 1, 1, 1).expand_as(view), hidden.float() * some(0.25))


def _compress(view: Tensor) -> Tensor:
    """Quantise the cosine transform of 8x8 blocks, as JPEG and the video codecs do."""
    size = view.shape[-1]
    order = torch.arange(8, device=view.device, dtype=torch.float32)
    basis = torch.cos((2 * order[None] + 1) * order[:, None] * math.pi / 16) * (
        0.5 * torch.ones(8, 1, device=view.device)
    )
    basis[0] /= math.sqrt(2)
    padded = F.pad(view, (0, -size % 8, 0, -size % 8), mode="replicate")
    blocks = padded.unfold(2, 8, 8).unfold(3, 8, 8)
    step = (0.02 + 0.1 * torch.rand(len(view), 1, 1, 1, 1, 1, device=view.device)) * (1 + order[:, None] + order[None])
    coded = ((basis @ blocks @ basis.T) / (step / 4)).round() * (step / 4)
    back = (basis.T @ coded @ basis).permute(0, 1, 2, 4, 3, 5).reshape(padded.shape)
    return back[..., :size, :size].clamp(0, 1)


class Heads(nn.Module):
    """A trunk with a linear head for each labelling convention; the trunk's own head is `video`.

    Args:
        arch: `compact` or a model name of timm.
        in_chans: Channels of the image.
        dropout: Share of the embedding that is dropped in training.
    """

    def __init__(self, arch: str, in_chans: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.trunk = build_backbone(arch, in_chans=in_chans, heads=HEADS[:2])
        self.dropout = nn.Dropout(dropout)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Compute logits `(B, 7)` by head of standardised images `(B, C, H, W)`."""
        embedding = self.dropout(self.trunk.embed(image))
        others = {name: self.trunk.heads[name](embedding) for name in HEADS[:2]}
        return {"video": self.trunk.head(embedding), **others}


def batch_of(
    faces: Faces, rows: Tensor, wild: Tensor, size: int
) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Draw views of images and lay out their targets.

    Returns:
        Views `(B, 1, size, size)`; the target of each head `(B, 7)`; and the weight of each image for each head `(B,)`.
    """
    first = augment(faces.fer[rows], size)
    second = augment(faces.wild[wild], size)
    soft = faces.soft[wild]
    none = torch.zeros(len(wild), len(EMOTIONS), device=first.device)
    label = faces.label[rows]
    hard = F.one_hot(label.clamp_min(0), len(EMOTIONS)).float() * 0.9 + 0.1 / len(EMOTIONS)
    target = {
        "fer2013": torch.cat([hard, none]),
        "ferplus": torch.cat([faces.votes[rows], none]),
        "video": torch.cat([faces.video[rows], soft]),
    }
    weight = {
        "fer2013": torch.cat([(label >= 0).float(), none[:, 0]]),
        "ferplus": torch.cat([faces.votes[rows].sum(1), none[:, 0]]),
        "video": target["video"] @ faces.video_weight,
    }
    return torch.cat([first, second]), target, weight


def loss_of(logits: dict[str, Tensor], target: dict[str, Tensor], weight: dict[str, Tensor]) -> Tensor:
    """Return the heads' weighted cross-entropies against soft targets, added."""
    parts = [
        (-(target[name] * logits[name].float().log_softmax(1)).sum(1) * weight[name]).sum()
        / weight[name].sum().clamp_min(1)
        for name in HEADS
    ]
    return parts[0] * 0.5 + parts[1] * 0.75 + parts[2]


@torch.inference_mode()
def measure(
    model: nn.Module, faces: Faces, prepare: Preprocessing, autocast: Callable[[], torch.autocast]
) -> dict[str, float]:
    """Score each head on what was held out; `video` against the teachers, on persons held out."""
    model.eval()
    found: dict[str, float] = {}
    for kind, images, rows in (("fer", faces.fer, faces.rows["val"]), ("wild", faces.wild, faces.wild_rows["val"])):
        logits: dict[str, list[Tensor]] = {name: [] for name in HEADS}
        for part in torch.split(rows, 256):
            with autocast():
                views = prepare(images[part].float() / 255)
                for name, each in model(views).items():
                    logits[name].append(each.float())
        told = {name: torch.cat(parts) for name, parts in logits.items()}
        if kind == "fer":
            label, votes = faces.label[rows], faces.votes[rows]
            known, voted = label >= 0, votes.sum(1) > 0
            found["fer2013_acc"] = (told["fer2013"].argmax(1) == label)[known].float().mean().item()
            found["ferplus_acc"] = (told["ferplus"].argmax(1) == votes.argmax(1))[voted].float().mean().item()
            found["video_fer_agree"] = (told["video"].argmax(1) == faces.video[rows].argmax(1)).float().mean().item()
        else:
            soft = faces.soft[rows]
            right, truth = told["video"].argmax(1) == soft.argmax(1), soft.argmax(1)
            found["video_wild_agree"] = right.float().mean().item()
            found["video_wild_uar"] = float(
                np.mean([right[truth == c].float().mean().item() for c in torch.unique(truth).tolist()])
            )
            log = told["video"].log_softmax(1)
            found["video_wild_kl"] = (soft * (soft.clamp_min(1e-6).log() - log)).sum(1).mean().item()
    model.train()
    return found


def train(options: argparse.Namespace) -> None:
    """Train one network until its time is over, and write weights, card, curve and figures."""
    torch.manual_seed(options.seed)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    device = torch.device(options.device)
    faces = Faces(options.pack, device)
    channels = 3 if options.arch == "inception_resnet_v2" else 1
    prepare = Preprocessing(image_size=options.size, in_chans=channels, statistics="face")
    model: Any = channels_last(Heads(options.arch, channels).to(device))
    average: Any = channels_last(Heads(options.arch, channels).to(device))
    average.load_state_dict(model.state_dict())
    decayed = [each for each in model.parameters() if each.ndim > 1]
    others = [each for each in model.parameters() if each.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=options.lr, momentum=0.9, nesterov=True, weight_decay=options.weight_decay)

    def autocast() -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")

    wild_share = options.batch // 4
    begun, step, seen, curve, measured = time.monotonic(), 0, 0, [], -1.0
    while (passed := (time.monotonic() - begun) / options.seconds) < 1 and step != options.steps:
        rate = options.lr * min(1, passed / 0.05 + 1e-3) * 0.5 * (1 + math.cos(math.pi * passed))
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = faces.rows["train"][
            torch.randint(len(faces.rows["train"]), (options.batch - wild_share,), device=device)
        ]
        wild = faces.wild_rows["train"][torch.randint(len(faces.wild_rows["train"]), (wild_share,), device=device)]
        with torch.no_grad():
            view, target, weight = batch_of(faces, rows, wild, options.size)
            if options.mixup and step % 2:
                part = float(np.random.default_rng([options.seed, step]).beta(options.mixup, options.mixup))
                other = torch.randperm(len(view), device=device)
                view = torch.lerp(view, view[other], part)
                for name in HEADS:
                    mixed = (1 - part) * weight[name] + part * weight[name][other]
                    total = target[name] * ((1 - part) * weight[name])[:, None]
                    total = total + target[name][other] * (part * weight[name][other])[:, None]
                    target[name], weight[name] = total / mixed.clamp_min(1e-6)[:, None], mixed
            image = prepare.finish(view).contiguous(memory_format=torch.channels_last)
        with autocast():
            logits = model(image)
        loss = loss_of(logits, target, weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        step, seen = step + 1, seen + options.batch
        with torch.no_grad():
            decay = min(0.999, step / (step + 20))
            for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
                kept.lerp_(new, 1 - decay) if kept.is_floating_point() else kept.copy_(new)
        if passed - measured > 0.1:
            measured = passed
            found = measure(average, faces, prepare, autocast)
            seconds = time.monotonic() - begun
            curve.append({"seconds": seconds, "step": step, "images": seen, "loss": loss.item(), **found})
            print(f"{options.name}: " + ", ".join(f"{key} {value:.4g}" for key, value in curve[-1].items()), flush=True)
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.monotonic() - begun
    found = measure(average, faces, prepare, autocast)
    report = {
        "name": options.name,
        "arch": options.arch,
        "size": options.size,
        "seed": options.seed,
        "mixup": options.mixup,
        "batch": options.batch,
        "lr": options.lr,
        "weight_decay": options.weight_decay,
        "seconds": seconds,
        "images_per_s": seen / seconds,
        "images": seen,
        "peak_memory_gib": torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None,
        "held_out": {"rows": len(faces.rows["val"]), "wild": len(faces.wild_rows["val"]), **found},
        "curve": curve,
    }
    print(json.dumps({name: value for name, value in report.items() if name != "curve"}), flush=True)
    _write(options, report, average, prepare)


def _write(options: argparse.Namespace, report: dict[str, Any], model: Any, prepare: Preprocessing) -> None:  # noqa: ANN401
    from safetensors.torch import save_file

    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{options.name}.report.json").write_text(json.dumps(report, indent=1))
    tensors = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in model.trunk.state_dict().items()
    }
    if sum(value.numel() * value.element_size() for value in tensors.values()) > 15e6:
        print(f"{options.name}: the weights are over 15 MB and stay behind")
        return
    save_file({**tensors}, options.out / f"{options.name}.safetensors")
    card = {
        "kind": "image",
        "arch": options.arch,
        "arguments": {"in_chans": prepare.in_chans, "heads": list(HEADS[:2])},
        "preprocessing": prepare.as_card(),
    }
    (options.out / f"{options.name}.json").write_text(json.dumps(card, indent=2) + "\n")


def rate(options: argparse.Namespace) -> None:
    """Print the images/s of one network's training steps, and the share of the device's bf16 rate that they reach."""
    device = torch.device(options.device)
    torch.backends.cudnn.benchmark = True
    channels = 3 if options.arch == "inception_resnet_v2" else 1
    left, right = (torch.randn(8192, 8192, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        left @ right
    torch.cuda.synchronize()
    at = time.monotonic()
    for _ in range(20):
        left @ right
    torch.cuda.synchronize()
    peak = 20 * 2 * 8192**3 / (time.monotonic() - at)
    from torch.utils.flop_counter import FlopCounterMode

    model: Any = channels_last(Heads(options.arch, channels).to(device))
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    image = torch.randn(options.batch, channels, options.size, options.size, device=device)
    image = image.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = sum(each.float().square().mean() for each in model(image).values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    with FlopCounterMode(display=False) as counter:
        step()
    for _ in range(5):
        step()
    torch.cuda.synchronize()
    at, count = time.monotonic(), 20
    for _ in range(count):
        step()
    torch.cuda.synchronize()
    seconds = (time.monotonic() - at) / count
    reached = counter.get_total_flops() / seconds
    print(
        f"{options.arch} at {options.size} px, batch {options.batch}, bf16: {options.batch / seconds:.0f} images/s, "
        f"{reached / 1e12:.1f} TFLOP/s, {reached / peak:.1%} of a matrix product's {peak / 1e12:.0f} TFLOP/s",
        flush=True,
    )


def main() -> None:
    """Run one of `pack`, `train` and `rate`."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    packing = verbs.add_parser("pack")
    packing.add_argument("--data", type=Path, default=Path("data"))
    packing.add_argument("--out", type=Path, default=Path(".gpu/faces.npz"))
    for verb in ("train", "rate"):
        each = verbs.add_parser(verb)
        each.add_argument("--arch", default="compact")
        each.add_argument("--size", type=int, default=48)
        each.add_argument("--batch", type=int, default=512)
        each.add_argument("--device", default="cuda")
        if verb == "train":
            each.add_argument("--pack", type=Path, default=Path(".gpu/faces.npz"))
            each.add_argument("--seconds", type=float, default=300)
            each.add_argument("--steps", type=int, default=-1, help="stop after so many, for a trial")
            each.add_argument("--seed", type=int, default=0)
            each.add_argument("--mixup", type=float, default=0.0)
            each.add_argument("--lr", type=float, default=0.2)
            each.add_argument("--weight-decay", type=float, default=2e-4)
            each.add_argument("--name", default="faces")
            each.add_argument("--out", type=Path, default=Path("gpu"))
    options = parser.parse_args()
    if options.verb == "pack":
        pack(options.data, options.out)
    else:
        {"train": train, "rate": rate}[options.verb](options)


if __name__ == "__main__":
    main()
