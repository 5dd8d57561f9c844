"""Keys of a pipeline's steps: what changes them, what does not, and what is said of it; nothing is trained here."""

import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from vidfer.datasets.synthetic import write_faces
from vidfer.pipeline.store import Store
from vidfer.stages.audio import AudioStage
from vidfer.stages.classify import ClassifyStage
from vidfer.stages.faces import FacesStage
from vidfer.stages.fit import WEIGHTS
from vidfer.training.config import read_configuration
from vidfer.training.reasons import reason
from vidfer.training.steps import STEPS, Step, plan_steps
from vidfer.types import UsageError
from vidfer.weights.bundles import SHIPPED_BUNDLE

Planner = Callable[..., dict[str, Step]]

PIPELINE: dict[str, Any] = {
    "name": "small",
    "denoise": {"model": {"preset": "tiny"}, "trainer": {"max_epochs": 1}},
    "finetune": {"model": {"backbone": "compact"}, "trainer": {"max_epochs": 1}},
    "classify": {
        "model": {"classifier": "mlp", "lr": 0.02},
        "data": {"class_path": "vidfer.datamodules.clips.SampleSoundsDataModule"},
    },
    "fusion": {
        "model": {"classifier": "fusion"},
        "data": {"class_path": "vidfer.datamodules.paired.SamplePairedDataModule"},
    },
    "settings": {"pool": "mean"},
}


@pytest.fixture
def planner(tmp_path: Path) -> Planner:
    """Plan the pipeline on drawn faces and synthesised voices in `tmp_path`, with overrides."""
    faces = write_faces(tmp_path / "faces", train=2, test=1)
    samples = tmp_path / "samples"
    pipeline = deepcopy(PIPELINE)
    pipeline["finetune"]["data"] = {"root": str(faces)}
    pipeline["classify"]["data"] |= {"root": str(samples / "sounds"), "train_people": "1-4", "test_people": "5-6"}
    pipeline["fusion"]["data"] |= {"root": str(samples)}
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(pipeline))

    def plan(*overrides: str, until: str | None = None, label: bool = False) -> dict[str, Step]:
        configuration = read_configuration(tmp_path / "pipeline.yaml", overrides)
        steps = plan_steps(configuration, Store(tmp_path / "store"), until)
        return {step.label if label else step.name: step for step in steps}

    return plan


def changed(before: dict[str, Step], after: dict[str, Step]) -> list[str]:
    """Name the steps whose keys differ."""
    return [name for name in before if before[name].key != after[name].key]


ENDS = ["calibrate", "evaluate", "bundle"]


@pytest.mark.parametrize(
    ("override", "steps"),
    [
        ("denoise.seed_everything=1", ["denoise", "finetune", "fusion", *ENDS]),  # sound is not denoised
        ("denoise.trainer.max_epochs=2", ["denoise", "finetune", "fusion", *ENDS]),
        ("finetune.model.lr=0.3", ["finetune", "fusion", *ENDS]),
        ("classify.model.lr=0.01", ["classify", *ENDS]),
        ("fusion.model.arguments={hidden: 8}", ["fusion", *ENDS]),
        ("settings.pool=peaks", ["evaluate", "bundle"]),
        ("description=other", ["bundle"]),
        # what cannot change a result
        ("finetune.trainer.accelerator=gpu", []),
        ("finetune.trainer.default_root_dir=elsewhere", []),
        ("finetune.data.num_workers=2", []),
        ("finetune.model.compiled=true", []),
        ("denoise.trainer.callbacks=[{class_path: vidfer.tasks.callbacks.SampleImages}]", []),
        # and what can, although it is no number
        ("classify.trainer.callbacks=[{class_path: mine.SampleImages}]", ["classify", *ENDS]),
        (
            "denoise.trainer.callbacks=[{class_path: vidfer.tasks.callbacks.WarmEMA}]",
            ["denoise", "finetune", "fusion", *ENDS],
        ),
        ("finetune.data.unheard_of=1", ["finetune", "fusion", *ENDS]),
    ],
)
def test_a_value_changes_the_keys_of_what_depends_on_it(planner: Planner, override: str, steps: list[str]) -> None:
    """A value enters the key of its own training and of whatever reads that, unless it cannot change the result."""
    assert changed(planner(), planner(override)) == steps


def test_data_count_by_content_and_not_by_place(planner: Planner, tmp_path: Path) -> None:
    """A copy of the faces elsewhere gives the same keys; one byte of one image gives others from `finetune` on."""
    before = planner()
    (tmp_path / "faces").rename(tmp_path / "moved")
    place = f"finetune.data.root={tmp_path / 'moved'}"
    assert changed(before, planner(place)) == []
    image = next(each for each in sorted((tmp_path / "moved" / "train").rglob("*.png")))
    other = next(each for each in sorted((tmp_path / "moved" / "train").rglob("*.png"), reverse=True))
    image.write_bytes(other.read_bytes())
    assert changed(before, planner(place)) == ["finetune", "fusion", *ENDS]


def test_a_new_version_of_what_reads_clips_retrains_on_what_it_reads(
    planner: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features are read inside the training: a stage of a clip that reads otherwise makes another training."""
    before = planner()
    with monkeypatch.context() as patch:
        patch.setattr(AudioStage, "version", AudioStage.version + 1)
        assert changed(before, planner()) == ["classify", "fusion", *ENDS]
    with monkeypatch.context() as patch:
        patch.setattr(FacesStage, "version", FacesStage.version + 1)
        assert changed(before, planner()) == ["fusion", *ENDS]
    monkeypatch.setattr(ClassifyStage, "version", ClassifyStage.version + 1)
    assert changed(before, planner()) == ENDS


def test_weights_by_name_count_by_what_they_are(
    planner: Planner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulled weights may be replaced under their name, which a training starts from, or a bundle takes as they are."""
    monkeypatch.setenv("VIDFER_WEIGHTS", str(tmp_path))
    starts, uses = "finetune.model.weights=mine", "finetune={use: mine}"

    def put(name: str, **card: object) -> None:
        shipped = SHIPPED_BUNDLE / f"{name}.safetensors"
        (tmp_path / "mine.safetensors").write_bytes(shipped.read_bytes())
        content = json.loads(shipped.with_suffix(".json").read_text())
        (tmp_path / "mine.json").write_text(json.dumps(content | card))

    put("compact")
    before, used = planner(starts), planner(uses)
    put("compact", calibration={"temperature": 2.0})  # of the same network's answers, not of what is trained on them
    assert changed(before, planner(starts)) == []
    assert changed(used, planner(uses)) == ENDS
    put("compact64")
    assert changed(before, planner(starts)) == ["finetune", "fusion", *ENDS]


def test_settings_of_paired_test_clips_count(planner: Planner, tmp_path: Path) -> None:
    """What is drawn for a test clip is measured, so another draw is another evaluation."""
    clips = f"class_path: vidfer.datamodules.paired.SamplePairedDataModule, root: {tmp_path / 'samples'}"
    before = planner(f"test_clips=[{{{clips}}}]")
    assert changed(before, planner(f"test_clips=[{{{clips}, pairing_seed: 1}}]")) == ["evaluate", "bundle"]


def test_a_classifier_of_faces_needs_an_image_network(planner: Planner) -> None:
    """None is put in its place unsaid."""
    with pytest.raises(UsageError, match=r"fusion reads embeddings of faces, .* has no image network: add the section"):
        planner("finetune=null", until="fusion")
    assert list(planner("finetune=null", until="classify")) == ["classify"]


def test_weights_that_are_used_replace_a_training(planner: Planner) -> None:
    """A section with `use` has no key of its own; what reads its weights has their digest in its own."""
    before, after = planner(), planner("finetune={use: compact}")
    assert not after["finetune"].due
    assert changed(before, after) == ["finetune", "fusion", *ENDS]
    assert changed(after, planner("finetune={use: compact64}")) == ["fusion", *ENDS]


def test_a_training_needs_only_what_it_reads(planner: Planner) -> None:
    """Up to a training means with what it needs, and nothing else."""
    assert list(planner(until="classify")) == ["classify"]
    assert list(planner(until="fusion")) == ["denoise", "finetune", "fusion"]
    assert list(planner(until="evaluate")) == [name for name in STEPS if name not in ("classify_faces", "bundle")]
    with pytest.raises(UsageError, match="trains no classify_faces: it has denoise, finetune, classify, fusion"):
        planner(until="classify_faces")


def test_folds_repeat_what_depends_on_people_and_nothing_else(planner: Planner) -> None:
    """Each fold is planned up to its evaluation, the bundle's own models as without folds, and both evaluations are read."""
    folds = (
        "folds=2",
        "fold=0",
        "classify.data.folds=${folds}",
        "classify.data.fold=${fold}",
        "classify.data.test_people=''",
    )
    whole = planner(*folds, label=True)
    alone = planner("folds=0", *folds[1:], label=True)
    of_fold = [f"{name} {number}" for number in (1, 2) for name in ("classify", "calibrate", "evaluate")]
    assert list(whole) == [*list(alone)[:-2], *of_fold, "evaluate", "bundle"]
    assert changed(alone, whole) == ["evaluate", "bundle"]
    assert {whole[f"evaluate {number}"].key for number in (1, 2)} < set(whole["evaluate"].recipe["inputs"].values())
    assert whole["classify 1"].key != whole["classify 2"].key


def test_what_changed_is_said(planner: Planner, tmp_path: Path) -> None:
    """The reason names the values that differ from the most similar artifact, before and after."""
    store, step = Store(tmp_path / "store"), planner()["classify"]
    assert reason(step.recipe, step.nearest) == "not made before"
    with store.draft("classify_fit", step.key) as draft:
        draft.write(WEIGHTS, b"weights")
        store.publish(draft.seal(step.recipe, meta={"seconds": 75.0}))
    assert not planner()["classify"].due
    other = planner("classify.model.lr=0.01", "classify.seed_everything=3")["classify"]
    assert other.due
    assert other.seconds == 75.0
    assert reason(other.recipe, other.nearest) == "seed_everything 0 -> 3, model.lr 0.02 -> 0.01"
    values = ",".join(f"a{n}: {n}" for n in range(9))
    far = planner(f"classify.model.arguments={{{values}}}")["classify"]
    assert reason(far.recipe, far.nearest) == "not made before"
    assert far.seconds is None


def test_a_plan_needs_neither_torch_nor_lightning(planner: Planner, tmp_path: Path) -> None:
    """A pipeline that is up to date has to be done in seconds, of which importing Lightning would take most."""
    planner()
    script = f"""
import sys
from vidfer.cli.main import main
status = main(["pipeline", "plan", {str(tmp_path / "pipeline.yaml")!r}, "--store", {str(tmp_path / "store")!r}])
print(status, sorted({{"torch", "lightning", "pandas"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout
