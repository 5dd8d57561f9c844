"""Train the paper-size denoiser (`full`) on one CUDA device for a given time, and measure it.

    python benchmarks/gpu_denoise.py --root data/bsds500/train --test data/set14 --seconds 120 --out OUT

Nothing but torch, lightning, opencv and vidfer is needed.
"""

import argparse
import json
import time
from pathlib import Path

import lightning
import numpy as np
import torch

from vidfer.datamodules.denoise import DenoiseDataModule
from vidfer.tasks.denoise import DenoiseTask


def main() -> None:
    """Train, measure, export."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--steps", type=int, default=20000, help="generator steps that the schedule is made for")
    parser.add_argument("--preset", default="full")
    parser.add_argument("--norm", default="batch")
    parser.add_argument("--output", default="residual")
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--adversarial-weight", type=float, default=0.0)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=12)
    parser.add_argument("--name", default="full")
    parser.add_argument("--out", type=Path, default=Path("gpu"))
    options = parser.parse_args()
    lightning.seed_everything(0, verbose=False)
    torch.backends.cudnn.benchmark = True
    task = DenoiseTask(
        preset=options.preset,
        norm=options.norm,
        output=options.output,
        scale=options.scale,
        adversarial_weight=options.adversarial_weight,
        lr=options.lr,
    )
    data = DenoiseDataModule(
        root=str(options.root),
        val_share=0.05,
        crops_per_epoch=options.steps * options.batch,
        batch_size=options.batch,
        num_workers=options.workers,
    )
    cuda = torch.cuda.is_available()
    trainer = lightning.Trainer(
        accelerator="cuda" if cuda else "cpu",
        devices=1,
        max_epochs=1,
        max_steps=-1,
        max_time={"seconds": int(options.seconds)},
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    begun = time.monotonic()
    trainer.fit(task, data)
    seconds = time.monotonic() - begun
    steps = trainer.fit_loop.epoch_loop.total_batch_idx + 1
    print(
        f"{options.name}: {steps} steps of {options.batch} crops in {seconds:.0f} s, "
        f"{steps * options.batch / seconds:.0f} crops/s",
        flush=True,
    )
    found = measure(task, options.test)
    print(json.dumps({"name": options.name, "steps": steps, "psnr": found}), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    from safetensors.torch import save_file

    tensors = {
        name: each.half().contiguous() if each.is_floating_point() else each
        for name, each in task.generator.state_dict().items()
    }
    save_file(tensors, options.out / f"{options.name}.safetensors")
    report = {"arguments": task.arguments, "steps": steps, "batch": options.batch, "seconds": seconds, "psnr": found}
    (options.out / f"{options.name}.report.json").write_text(json.dumps(report, indent=1))


@torch.inference_mode()
def measure(task: DenoiseTask, folder: Path) -> dict[str, float]:
    """Return the mean PSNR in dB over a folder's photographs, RGB, clipped 8-bit noise, by sigma; `noisy` beside it."""
    import cv2

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = task.generator.to(device).eval()
    found: dict[str, float] = {}
    for sigma in (15, 25, 50):
        rng, scores, before = np.random.default_rng(sigma), [], []
        for path in sorted(folder.glob("*.png")):
            clean = np.asarray(cv2.imread(str(path)), np.float32)[..., ::-1]
            noisy = np.clip(np.round(clean + rng.normal(0, sigma, clean.shape)), 0, 255).astype(np.float32)
            given = torch.from_numpy(noisy / 127.5 - 1).permute(2, 0, 1)[None].to(device)
            height, width = given.shape[-2:]
            given = torch.nn.functional.pad(given, (0, width % 2, 0, height % 2), mode="replicate")
            answer = generator(given)[0, :, :height, :width].permute(1, 2, 0).float().cpu().numpy()
            restored = np.clip(np.round((answer + 1) * 127.5), 0, 255)
            scores.append(10 * np.log10(255**2 / np.mean((restored - clean) ** 2)))
            before.append(10 * np.log10(255**2 / np.mean((noisy - clean) ** 2)))
        found[f"sigma{sigma}"], found[f"noisy{sigma}"] = float(np.mean(scores)), float(np.mean(before))
    return found


if __name__ == "__main__":
    main()
