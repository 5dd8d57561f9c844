"""Checkpoints on disk: whole or not there, known to be what was written, and the one before stays until it is not needed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import torch
from blake3 import blake3
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from vidfer.pipeline.atomic import linking, write_atomic
from vidfer.types import VidferError

_MARK: Final = b"\nvidfer-blake3:"
_DIGITS: Final = 64


class NewestCheckpoint(ModelCheckpoint):
    """Lightning's checkpoints, except that `last.ckpt` is a link that names one at any moment, however it is renewed."""

    @staticmethod
    def _link_checkpoint(trainer: Trainer, filepath: str, linkpath: str) -> None:
        if trainer.is_global_zero:
            linking(Path(filepath), Path(linkpath))
            if isinstance(writer := trainer.strategy.checkpoint_io, AtomicCheckpointIO):
                writer.remove_outdated()
        trainer.strategy.barrier()


class AtomicCheckpointIO(TorchCheckpointIO):
    """Replaces a checkpoint only by a whole one, and keeps the best as long as the one to resume from names it.

    The digest of a file stands at its end, where torch does not look: torch itself notices no changed byte.
    """

    def __init__(self) -> None:
        super().__init__()
        self._named: set[str] = set()
        self._outdated: set[str] = set()

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write a checkpoint; storage options have no effect."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        written = BytesIO()  # not to the file itself: torch hides why a disk refuses bytes
        torch.save(checkpoint, written)
        data = written.getbuffer()
        write_atomic(target, b"".join((data, _MARK, blake3(data).hexdigest().encode())))
        self.remove_outdated()
        best, others = _named_in(checkpoint)
        if str(path) in others:
            self._named = best

    def remove_outdated(self) -> None:
        """Remove what the newest checkpoint to resume from does not name any more, once `last.ckpt` is that one."""
        for each in self._outdated - self._named:
            super().remove_checkpoint(each)
        self._outdated &= self._named

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint; the former best stays until the one to resume from names the new one."""
        if str(path) in self._named:
            self._outdated.add(str(path))
        else:
            super().remove_checkpoint(path)

    def load_checkpoint(self, path: str | Path, *arguments: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        """Read a checkpoint without running any code in it, or raise a VidferError if it is missing, damaged or elsewhere."""
        options["weights_only"] = True  # Lightning runs what an address holds, unless it is told not to
        with readable_checkpoint(path):
            checkpoint: dict[str, Any] = super().load_checkpoint(path, *arguments, **options)
        self._named = _named_in(checkpoint)[0]
        return checkpoint


def _named_in(checkpoint: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Return the checkpoints that one names as the best on the validation split, and all others that it names."""
    best: set[str] = set()
    others: set[str] = set()
    for state in checkpoint.get("callbacks", {}).values():
        if "best_k_models" in state:
            named = best if str(state["monitor"]).startswith("val_") else others
            named |= {*state["best_k_models"], state.get("best_model_path"), state.get("last_model_path")}
    return best, others


@contextmanager
def readable_checkpoint(path: str | Path) -> Iterator[None]:
    """Raise a VidferError for a checkpoint that is missing in the block, elsewhere, or not byte for byte as it was written."""
    if "://" in str(path):
        raise VidferError(
            f"no checkpoint is read from an address, as {path} is: fetch it, and give its file with --ckpt_path"
        )
    try:
        if Path(path).is_file():
            _check(Path(path))
        yield
    except FileNotFoundError as error:
        raise VidferError(f"no checkpoint {path}") from error
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        remedy = "give an older one of its folder with --ckpt_path"
        raise VidferError(f"the checkpoint {path} cannot be read: {remedy}") from error


def _check(path: Path) -> None:
    data = memoryview(path.read_bytes())
    end = len(data) - len(_MARK) - _DIGITS
    if end < 0 or data[end:] != _MARK + blake3(data[:end]).hexdigest().encode():
        raise VidferError(
            f"the checkpoint {path} is damaged, or was not written by this version of vidfer: "
            "give an older one of its folder with --ckpt_path"
        )


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint to go on from: `last.ckpt`, else the newest there is, None without any."""
    last = folder / "last.ckpt"
    if last.is_file():
        return last
    return max(
        (each for each in folder.glob("*.ckpt") if each.is_file()), key=lambda each: each.stat().st_mtime, default=None
    )


def load_best(trainer: Trainer, task: LightningModule) -> Mapping[str, Any] | None:
    """Load the weights that were best on the validation split, and return what the card says of them; None without any.

    Raises:
        VidferError: They are damaged.
    """
    for callback in trainer.checkpoint_callbacks:
        if not isinstance(callback, ModelCheckpoint) or not (callback.monitor or "").startswith("val_"):
            continue
        if Path(path := callback.best_model_path).is_file():
            kept = AtomicCheckpointIO().load_checkpoint(path, map_location="cpu", weights_only=True)
            task.load_state_dict(kept["state_dict"])
            return {
                "monitor": callback.monitor,
                "value": float(callback.best_model_score),  # type: ignore[arg-type]  # there is one where there is a path
                "step": kept["global_step"],
                "epoch": kept["epoch"],
                "validation": kept["validation"],
            }
    return None
