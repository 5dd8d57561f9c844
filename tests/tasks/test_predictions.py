"""Predictions of held-out samples at Weights & Biases, with the real client and without a server."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import wandb
from lightning import LightningDataModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from tests import wandb_files
from vidfer.tasks.base import ClassificationTask
from vidfer.tasks.loggers import WandbCurves
from vidfer.tasks.optimizers import Optimisation, Schedule
from vidfer.tasks.predictions import showing
from vidfer.types import DISPLAYED, EMOTIONS

TRUTH = [0, 0, 3, 3, 3, 6]
BEST = [0, 3, 3, 3, 6, 6]
TOLD = {
    "val": [[1] * 6, BEST, [0] * 6],
    "test": [[6] * 6],
}  # of each pass: a check before the training, two validations


class Oracle(ClassificationTask):
    """Says what the test has written down, whatever it has learned."""

    def __init__(self) -> None:
        super().__init__(Optimisation("sgd", 0.1), Schedule(), 0.0, 0.0)
        self.bias = torch.nn.Parameter(torch.zeros(7))
        self.passes = {"val": -1, "test": -1}

    def on_validation_epoch_start(self) -> None:
        self.passes["val"] += 1

    def on_test_epoch_start(self) -> None:
        self.passes["test"] += 1

    def logits(self, batch: Any) -> Tensor:
        split = "test" if self.trainer.testing else "val"
        self.hand_on("nothing", torch.zeros(0, 7), torch.zeros(0, dtype=torch.int64), None)
        told = TOLD[split][self.passes[split]]
        return logits_of([told[number] for number in batch["number"]])

    def training_loss(self, batch: Any) -> Tensor:
        return self.bias.sum()

    def export(self) -> Any:
        raise NotImplementedError


class Faces(LightningDataModule):
    """Six faces in batches of four, each of one gray with a sharp edge."""

    def _loader(self) -> DataLoader[Any]:
        image = torch.linspace(-1, 1, 48).sign().expand(6, 1, 48, 48) * torch.arange(1, 7).view(6, 1, 1, 1)
        rows = [{"image": image[n], "target": TRUTH[n], "number": n} for n in range(6)]
        return DataLoader(rows, batch_size=4)  # type: ignore[arg-type]

    train_dataloader = val_dataloader = test_dataloader = _loader


def logits_of(told: list[int]) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(told), 7).float() + torch.arange(7) / 100


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """A training of two epochs and its test: with blurred faces, with faces as they are, and by default; the client's runs."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        for name in [
            name for name in os.environ if name.startswith("WANDB_")
        ]:  # such as the address of a client that has ended
            patch.delenv(name)
        for name, value in {"MODE": "offline", "SILENT": "true", "DATA_DIR": str(folder / "data")}.items():
            patch.setenv(f"WANDB_{name}", value)
        wandb.teardown()
        found: list[Path] = []
        for faces in ("blurred", "shown", "default"):
            chosen: dict[str, Any] = {} if faces == "default" else {"faces": faces}
            logger = WandbCurves(save_dir=str(folder), **chosen)
            best = ModelCheckpoint(folder / faces, monitor="val_acc", mode="max")
            trainer = Trainer(
                max_epochs=2, accelerator="cpu", logger=[logger], callbacks=[*showing([logger]), best],
                enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1,
            )  # fmt: skip
            task = Oracle()
            trainer.fit(task, datamodule=Faces())
            if faces == "blurred":
                trainer.test(task, datamodule=Faces(), verbose=False)
            wandb.finish()
            found += [each for each in folder.glob("wandb/offline-run-*") if each not in found]
        yield found
        wandb.teardown()


def table(run: Path, name: str) -> list[list[Any]]:
    """Return the rows of the table beneath a chart."""
    rows: list[list[Any]] = json.loads((run / "files" / wandb_files.history(run)[f"{name}_table.path"]).read_text())[
        "data"
    ]
    return rows


def counted(truth: list[int], told: list[int]) -> dict[tuple[str, str], int]:
    pairs = [(EMOTIONS[one], EMOTIONS[other]) for one, other in zip(truth, told, strict=True)]
    return {pair: pairs.count(pair) for pair in pairs}


def test_the_counts_are_those_of_the_weights_that_are_kept(runs: list[Path]) -> None:
    """The better validation is the first one; a test has counts of its own, and every class its row."""
    for split, step, told in (("val", 2, BEST), ("test", 4, [6] * 6)):
        rows = table(runs[0], f"{split}_confusion")
        assert [row[:2] for row in rows] == [[one, other] for one in EMOTIONS for other in EMOTIONS]
        assert {(row[0], row[1]): row[2] for row in rows if row[2]} == counted(TRUTH, told)
        summary = wandb_files.summary(runs[0])
        assert (summary[f"{split}_n"], summary[f"{split}_step"]) == (6, step)


def test_average_precisions_stand_beside_the_curves(runs: list[Path]) -> None:
    """By hand: of class 3, two tie with one of class 0 as the first three, one of class 0 is fourth, the last two tie."""
    summary = wandb_files.summary(runs[0])
    expected = {"happy": 2 / 3 * 2 / 3 + 1 / 3 * 3 / 6, "angry": 1 / 2 * 1 + 1 / 2 * 2 / 4, "neutral": 1 / 2}
    found = {name: value for name, value in summary.items() if name.startswith("val_ap_")}
    assert found == {f"val_ap_{name}": pytest.approx(value) for name, value in expected.items()}
    assert summary["val_ap"] == pytest.approx(np.mean(list(expected.values())))
    points = [row[1:] for row in table(runs[0], "val_precision_recall") if row[0] == "happy"]
    assert np.array(points) == pytest.approx(np.array([(0, 1), (2 / 3, 2 / 3), (2 / 3, 2 / 4), (1, 3 / 6)]))


def test_no_pixels_are_sent_unless_they_are_asked_for(runs: list[Path]) -> None:
    """What goes along by default is text: no file of a picture, and no entry of that kind."""
    for run, pictures in zip(runs, (2, 1, 0), strict=True):
        names = {path for path in wandb_files.files(run) if not path.endswith((".json", ".yaml", ".txt"))}
        kinds = [kind for name, kind in wandb_files.history(run).items() if name.endswith("._type")]
        assert (len(names), kinds.count("image-file")) == (pictures, pictures)
    assert "val_confusion_table._type" in wandb_files.history(runs[2])  # its figures are there
    assert wandb_files.summary(runs[2])["about"] == DISPLAYED


def test_faces_are_blurred_where_that_is_asked_for(runs: list[Path]) -> None:
    """A face has a sharp edge from black to white in its middle: only as it is, an image has that."""
    steepest = []
    for run in runs[:2]:
        (name,) = {path for path in wandb_files.files(run) if path.endswith(".png") and "val_faces" in path}
        image = cv2.imread(str(run / "files" / name), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        face = image[int(image.shape[0] * 0.2) : int(image.shape[0] * 0.3), 20:100].astype(int)
        steepest.append(np.abs(np.diff(face, axis=1)).max())
    hidden, shown = steepest
    assert shown > 100
    assert hidden < 20


def test_nothing_else_is_sent(runs: list[Path]) -> None:
    """Charts, their tables, a picture, and numbers; no place of this machine."""
    kinds = {"val_faces": "image-file", "val_confusion_table": "table-file", "val_precision_recall_table": "table-file"}
    kinds |= {name.replace("val", "test"): kind for name, kind in kinds.items()}
    sent = wandb_files.history(runs[0])
    assert {name.removesuffix("._type"): kind for name, kind in sent.items() if name.endswith("._type")} == kinds
    assert all(isinstance(value, int | float) for name, value in sent.items() if name.partition(".")[0] not in kinds)
    page = Path("docs/how-to/wandb.md").read_text().partition("## What is sent")[2]
    assert [name for name in kinds if f"`{name.removesuffix('_table')}`" not in page] == []
    files = {path for path in wandb_files.files(runs[0]) if not path.startswith("media/")}
    assert files <= {"requirements.txt", "wandb-metadata.json", "wandb-summary.json", "config.yaml"}
    assert str(runs[0].parent) not in wandb_files.sent_text(runs[0])
