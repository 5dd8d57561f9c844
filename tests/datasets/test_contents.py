"""What is trained on, described without the data modules, against what the modules themselves say."""

import inspect
import json
import subprocess
import sys
from importlib import import_module

import lightning
import pytest

from vidfer.datamodules.base import BaseDataModule
from vidfer.datasets.contents import CONTENTS, WEIGHTS, data_contents, input_weights
from vidfer.pipeline.digest import file_digest
from vidfer.types import VidferError
from vidfer.weights.files import weights_digest

PEOPLE = {"train_people": "1-2", "test_people": "3"}


@pytest.fixture
def arguments(tmp_path, sounds_root, faces_root, soft_root):
    """What each of the data modules is made with here."""
    return {
        "DenoiseDataModule": {"root": "sample"},
        "Fer2013DataModule": {"root": str(faces_root)},
        "SampleFacesDataModule": {"root": str(tmp_path / "drawn")},
        "ClipFacesDataModule": {"data": "ravdess", "clips_root": str(sounds_root), "root": str(faces_root), **PEOPLE},
        "SoftFacesDataModule": {"root": str(soft_root / "fer2013"), "wild_root": str(soft_root / "wild")},
        "ClipDataModule": {"root": str(sounds_root), **PEOPLE},
        "SampleSoundsDataModule": {"root": str(tmp_path / "voices"), **PEOPLE},
        "PairedDataModule": {"root": str(sounds_root), "faces_root": str(faces_root), **PEOPLE},
        "SamplePairedDataModule": {"root": str(tmp_path / "both")},
    }


def make(class_path, **options):
    module, _, name = class_path.rpartition(".")
    return getattr(import_module(module), name)(**options)


@pytest.mark.parametrize("class_path", CONTENTS)
def test_modules_say_the_same_of_themselves(class_path, arguments, tmp_path):
    chosen = arguments[class_path.rpartition(".")[2]]
    if not class_path.endswith("DenoiseDataModule"):
        chosen = {**chosen, "store": str(tmp_path / "store")}
    told = data_contents(class_path, chosen)  # first: it has to generate samples by itself
    module = make(class_path, **chosen)
    module.prepare_data()
    assert told == json.loads(json.dumps(list(module._contents())))
    assert input_weights(class_path, chosen) == input_weights("", module.hparams)


@pytest.mark.parametrize("class_path", CONTENTS)
def test_what_is_left_out_is_as_in_the_modules(class_path):
    module, _, name = class_path.rpartition(".")
    kinds = getattr(import_module(module), name).__mro__
    known = {}
    for kind in reversed(kinds[: kinds.index(BaseDataModule)]):
        known |= {each.name: each.default for each in inspect.signature(kind).parameters.values()}
    taken = inspect.signature(CONTENTS[class_path]).parameters.values()
    assert all(known[each.name] == each.default for each in taken if each.kind == each.KEYWORD_ONLY)


def test_files_labels_persons_and_splits_of_clips_are_told(tmp_path):
    rows = [("a", "happy", "ann", "train"), ("b", "sad", "", "test")]
    for name, *_ in rows:
        (tmp_path / f"{name}.wav").write_bytes(name.encode() * 70_000)
    (tmp_path / "clips.csv").write_text(
        "path,label,person,split\n" + "\n".join(f"{n}.wav,{label},{who},{where}" for n, label, who, where in rows)
    )
    clips = {"data": "manifest", "root": str(tmp_path / "clips.csv")}
    assert data_contents("vidfer.datamodules.clips.ClipDataModule", clips, tmp_path / "store") == [
        ["train", "a.wav", "ann", 3, file_digest(tmp_path / "a.wav")],
        ["test", "b.wav", None, 4, file_digest(tmp_path / "b.wav")],
    ]


def test_nothing_heavy_is_imported(arguments):
    code = (
        "import json, sys\n"
        "from vidfer.datasets.contents import data_contents, input_weights\n"
        "for path, options in json.loads(sys.argv[1]):\n"
        "    data_contents(path, options), input_weights(path, options)\n"
        "print(*{'torch', 'lightning', 'pandas', 'sklearn'} & set(sys.modules))\n"
    )
    work = json.dumps([[path, arguments[path.rpartition(".")[2]]] for path in CONTENTS])
    done = subprocess.run([sys.executable, "-c", code, work], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


class Foreign(lightning.LightningDataModule):
    def __init__(self, content="a"):
        super().__init__()
        self.content = content

    def content_digest(self):
        return self.content * 64


def test_a_module_of_ones_own_is_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "mine", sys.modules[__name__])
    assert data_contents("mine.Foreign", {"content": "b"}) == ["b" * 64]
    with pytest.raises(VidferError, match=r"there is no data module mine\.Missing"):
        data_contents("mine.Missing", {})


def test_weights_are_told_by_their_digest(image_weights):
    path = "vidfer.datamodules.clips.ClipDataModule"
    assert set(WEIGHTS) <= set(CONTENTS)
    told = input_weights(path, {})
    assert told["image_model"] == weights_digest("image", "compact")
    assert input_weights(path, {"image_model": str(image_weights)})["image_model"] == weights_digest(
        "image", image_weights
    )
