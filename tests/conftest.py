"""Fixtures for every test: real data where it is at hand, tiny generated data always."""

import gc
from pathlib import Path

import numpy as np
import pytest

from vidfer.types import EMOTIONS

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser):
    parser.addoption("--faults-table", action="store_true", help="print what the tests of faults measured, row by row")
    parser.addoption("--faults-page", metavar="FILE", help="and write it into this page")


LONGEST = (
    "tests/cli/test_train.py",
    "tests/cli/test_wandb.py",
    "tests/configs/test_configs.py",
    "tests/training/test_run.py",
    "tests/models/classifiers/test_base.py",
    "tests/cli/test_analyze.py",
    "tests/tasks/test_image.py",
    "tests/datamodules/test_clips.py",
    "tests/cli/test_doctor.py",
    "tests/paper/test_page.py",
    "tests/cli/test_classify_training.py",
    "tests/tasks/test_denoise.py",
    "tests/api/test_api.py",
    "tests/cli/test_tables.py",
)
"""Files that take longest, in this order: they come first, so that no process is left with one of them at the end."""


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_collection_finish():
    """Leave what was imported and collected out of every later garbage collection, which took 6 % of the suite's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Write out half characters in what a test logged: pytest-xdist cannot send them."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def data_dir():
    """The folder of real recordings, which is not part of the repository."""
    folder = ROOT / "data"
    if not folder.is_dir():
        pytest.skip("needs the real data in data/, which are not at hand")
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread():
    """Training tests are tiny: more threads only slow them down."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def one_export_a_network():
    """Export the graph of a network once: it has no tensor in it, so it is the same for all weights of that network."""
    import json

    from vidfer.inference import graphs

    real, known = graphs.export_graph, {}

    def export(card, tensors):
        about = {name: card.get(name) for name in ("kind", "arch", "arguments", "preprocessing")}
        if "." in card["arch"]:  # a class of a test's own, of which there may be another with the same name
            return real(card, tensors)
        key = json.dumps([about, tensors], sort_keys=True)
        if key not in known:
            known[key] = real(card, tensors)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "export_graph", export)
        yield


@pytest.fixture(scope="session", autouse=True)
def own_store(tmp_path_factory):
    """Tests that name no store keep out of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDFER_STORE", str(tmp_path_factory.mktemp("store")))
        yield


@pytest.fixture
def clips(tmp_path):
    """Two small files for stages that read any bytes."""
    paths = [tmp_path / name for name in ("a.bin", "b.bin")]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


@pytest.fixture
def toy_store(tmp_path, clips):
    """A store with what the chain of `tests.toy` makes of `clips`: four artifacts."""
    from tests.toy import Count, Largest
    from vidfer.pipeline.runner import finished
    from vidfer.pipeline.store import Store

    store = Store(tmp_path / "store")
    for clip in clips:
        with finished((Count(), Largest()), "largest", clip, store):
            pass
    return store


@pytest.fixture
def faces_root(tmp_path):
    """FER2013's layout with eight drawn faces of each class to train on and two to test on."""
    from vidfer.datasets.synthetic import write_faces

    return write_faces(tmp_path / "faces", train=8, test=2)


@pytest.fixture(scope="session")
def sounds_root(tmp_path_factory):
    """RAVDESS' layout with short voices of three speakers."""
    from vidfer.datasets.synthetic import write_sounds

    return write_sounds(tmp_path_factory.mktemp("data") / "sounds", actors=(1, 2, 3), seconds=0.3)


@pytest.fixture(scope="session")
def vectors_store(tmp_path_factory):
    """Vectors of `sounds_root`, computed by the first test that needs them."""
    return str(tmp_path_factory.mktemp("store"))


def untrained_network(path, **arguments):
    """Write an untrained compact network as weights with a card."""
    import torch

    from vidfer.models.backbone import build_backbone
    from vidfer.models.preprocess import Preprocessing
    from vidfer.weights.files import save_weights

    torch.manual_seed(0)
    network = build_backbone("compact", **arguments)
    for name, buffer in network.named_buffers():  # as after some training, so that folding has something to do
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    card = {"kind": "image", "arch": "compact", "arguments": {"in_chans": 1, **arguments}}
    save_weights(path, network.state_dict(), {**card, "preprocessing": Preprocessing().as_card()})
    return path


@pytest.fixture
def image_weights(tmp_path):
    """An untrained compact network as weights with a card."""
    return untrained_network(tmp_path / "mine.safetensors")


@pytest.fixture
def headed_weights(tmp_path):
    """The same with heads for FER2013's labels and FER+ votes beside its own."""
    return untrained_network(tmp_path / "headed.safetensors", heads=["fer2013", "ferplus"])


@pytest.fixture
def write_image(tmp_path):
    """Write a gray image into `<tmp_path>/fer/<split>/<class>/<name>`."""
    import cv2

    def write(split, label, name, pixels) -> Path:
        assert label in EMOTIONS
        path = tmp_path / "fer" / split / label / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.asarray(pixels, np.uint8))
        return path

    return write


VOTE_COLUMNS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")


@pytest.fixture
def soft_root(tmp_path):
    """Write 60 rows in FER2013's form with FER+ votes and teachers, ten of them of the public test, and 20 photographs."""
    import cv2

    rng = np.random.default_rng(0)
    root, wild = tmp_path / "fer2013", tmp_path / "wild"
    root.mkdir()
    wild.mkdir()
    networks = [f"{network}_{name}" for network in ("large", "small") for name in EMOTIONS]
    rows, votes, teacher = [], [], []
    for number in range(1, 61):
        usage = "Training" if number <= 50 else "PublicTest"
        label = "" if number == 7 else number % 7
        rows.append(f"{label},{' '.join(map(str, rng.integers(0, 256, 48 * 48)))},{usage}")
        counts = np.bincount(rng.integers(0, 7, 10), minlength=10)
        votes.append(f"{usage},fer{number:07d}.png,{','.join(map(str, counts))}")
        if number <= 50:
            teacher.append(f"{number}," + ",".join(f"{p:.4f}" for p in rng.dirichlet(np.ones(7), 2).ravel()))
    (root / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    (root / "fer2013new.csv").write_text("\n".join([f"Usage,Image name,{','.join(VOTE_COLUMNS)}", *votes]) + "\n")
    (root / "teacher.csv").write_text("\n".join([f"row,{','.join(networks)}", *teacher]) + "\n")
    crops = [
        f"{network}_{crop}_{name}" for network in ("large", "small") for crop in ("full", "tight") for name in EMOTIONS
    ]
    lines = []
    for number in range(20):
        name, person = f"{number // 2:02d}_{number}.png", number // 2
        cv2.imwrite(str(wild / name), rng.integers(0, 256, (128, 128), np.uint8))
        lines.append(f"{name},{person}," + ",".join(f"{p:.4f}" for p in rng.dirichlet(np.ones(7), 4).ravel()))
    (wild / "wild.csv").write_text("\n".join([f"image,person,{','.join(crops)}", *lines]) + "\n")
    return tmp_path


@pytest.fixture(scope="session")
def detector():
    """MTCNN with the shipped weights."""
    from vidfer.inference.mtcnn import MtcnnDetector

    return MtcnnDetector()


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """A photograph with one face: scikit-image's astronaut, her face at about (180, 60)-(268, 175)."""
    from skimage import data

    return data.astronaut()
