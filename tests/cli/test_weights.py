import json
import re
from pathlib import Path

import pytest

from tests.weights.lab import Lab
from vidfer.cli.main import main
from vidfer.weights import files

SHIPPED_NAMES = (
    "compact", "compact64", "voice", "gan_sound", "small", "fusion", "gan_faces", "occlusion",
    "mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet",
)  # fmt: skip


@pytest.fixture
def lab(monkeypatch, tmp_path, image_weights):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("VIDFER_WEIGHTS", str(tmp_path / "pulled"))
    lab = Lab()
    lab.offer("net", image_weights)
    yield lab
    lab.close()


@pytest.fixture
def weights(capsys):
    def weights(*args):
        status = main(["weights", *args])
        return status, capsys.readouterr()

    return weights


def test_the_list_tells_where_weights_are(lab, weights):
    status, said = weights("list")
    rows = [line.split() for line in said.out.splitlines()]
    assert (status, rows[0]) == (0, ["name", "kind", "size", "where", "licence", "what"])
    assert [row[:2] + row[4:5] for row in rows[1:]] == [
        ["compact", "image", "shipped"],
        ["compact64", "image", "shipped"],
        ["voice", "audio", "shipped"],
        ["gan_sound", "audio", "shipped"],
        ["small", "denoise", "shipped"],
        ["fusion", "fusion", "shipped"],
        ["gan_faces", "faces", "shipped"],
        ["occlusion", "occlusion", "shipped"],
        ["mtcnn_pnet", "detector", "shipped"],
        ["mtcnn_rnet", "detector", "shipped"],
        ["mtcnn_onet", "detector", "shipped"],
        ["identity", "identity", "to"],
    ]
    assert "--registry FILE|URL" in said.err
    _, said = weights("list", "--registry", lab.registry)
    assert "net   image  4.0 MB  to be pulled  MIT      a test's\n" in said.out
    assert "registry" not in said.err
    assert weights("pull", "net", "--registry", lab.registry)[0] == 0
    _, said = weights("list")
    where = {line.split()[0]: line.split()[4] for line in said.out.splitlines()[1:]}
    assert where == dict.fromkeys(SHIPPED_NAMES, "shipped") | {"net": "here", "identity": "to"}


def test_the_list_fits_a_terminal(lab, weights, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    columns = " ".join(weights("list")[1].out.split("\n")[1].split()[5:])  # licence and what, of the first weights
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    said = weights("list")[1].out
    assert max(map(len, said.splitlines())) <= 80
    below = said[said.index("compact ") : said.index("compact64 ")].split("shipped")[1]
    assert " ".join(below.replace("licence:", "", 1).replace("what:", "", 1).split()) == columns
    assert said.splitlines()[0].split() == ["name", "kind", "size", "where"]


def test_a_card_is_shown_with_what_each_head_was_trained_on(weights, headed_weights, lab):
    place = headed_weights.with_suffix(".json")
    told = {"video": "soft labels", "fer2013": "FER2013's labels", "ferplus": "FER+ votes"}
    card = json.loads(place.read_text()) | {"data": {"source": "faces"}, "conventions": told, "licence": "MIT"}
    place.write_text(json.dumps(card))
    status, said = weights("show", str(headed_weights))
    assert (status, said.out.splitlines()) == (
        0,
        [
            "headed.safetensors: image model, network compact, trained on faces",
            "head video: soft labels (predicts clips)",
            "head fer2013: FER2013's labels",
            "head ferplus: FER+ votes",
            "licence: MIT",
        ],
    )
    del card["conventions"]
    place.write_text(json.dumps(card))
    assert "head ferplus: labels not named" in weights("show", str(headed_weights))[1].out


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_the_cards_of_all_shipped_weights_can_be_shown(weights, name):
    status, said = weights("show", name)
    assert status == 0
    assert "intended use: " in said.out
    assert "prohibited use: " in said.out


def test_a_card_that_cannot_be_shown_ends_in_a_sentence(weights, headed_weights, tmp_path):
    place = headed_weights.with_suffix(".json")
    card = json.loads(place.read_text())
    for conventions in ({"video": "a"}, {"video": "a", "fer2013": "b", "ferplus": ""}, "a", [], {"other": "a"}):
        place.write_text(json.dumps({**card, "conventions": conventions}))
        status, said = weights("show", str(headed_weights))
        assert (
            status,
            "for conventions: it needs a text for each of the heads video, fer2013, ferplus" in said.err,
        ) == (1, True)
    for heads in ("fer2013", ["a", "a"], ["video"], [1], ["a.b"], {"a": 1}, None):
        place.write_text(json.dumps({**card, "arguments": {"heads": heads}}))
        status, said = weights("show", str(headed_weights))
        assert (status, f"has {heads!r} for heads: export the weights again" in said.err) == (1, True)
    for text in ("{", "[]", "{}", '{"kind": []}', '{"kind": "zen"}'):
        place.write_text(text)
        status, said = weights("show", str(headed_weights))
        assert (status, said.err.count("\n"), "headed.json" in said.err) == (1, 1, True)
    assert weights("show", str(tmp_path / "none.safetensors"))[0] == 1
    assert weights("show", "nix")[0] == 2


def test_what_is_pulled_works_by_name(lab, weights, faces_root, image_weights):
    status, said = weights("pull", "net", "--registry", lab.registry)
    assert status == 0
    assert re.search(r"net.safetensors .*4.0/4.0 MB", said.err)
    assert said.out.endswith("use them by --image-model net\n")
    status, said = weights("verify", "net")
    assert (status, said.out) == (0, "net: weights and card are right\n")
    image = ["evaluate", "image", "--root", str(faces_root), "--split", "public_test", "--image-model"]
    assert main([*image, "net"]) == main([*image, str(image_weights)]) == 0


def test_a_broken_pull_goes_on_by_the_same_command(lab, weights):
    lab.cut_after = 100_000
    status, said = weights("pull", "net", "--registry", lab.registry)
    assert status == 1
    assert "what was fetched is kept, run the same command again" in said.err
    assert weights("verify", "net", "--registry", lab.registry)[0] == 1
    lab.cut_after = None
    assert weights("pull", "net", "--registry", lab.registry)[0] == 0
    assert lab.requests[-1] == ("/w/net.safetensors", "bytes=100000-")


def test_damage_is_found_and_mended_as_the_message_says(lab, weights, tmp_path):
    weights("pull", "net", "--registry", lab.registry)
    path = tmp_path / "pulled/net.safetensors"
    whole = path.read_bytes()
    path.write_bytes(b"X" + whole[1:])
    status, said = weights("verify")
    assert status == 1
    told = next(line for line in said.out.splitlines() if line.startswith("net: "))
    assert f"{path} has the sha256" in told
    record = tmp_path / "pulled/net.pulled.json"
    assert told.endswith(f"delete what is wrong and fetch it again: vidfer weights pull net --registry {record}")
    assert said.err.endswith(f"{len(SHIPPED_NAMES) + 1} verified, 1 wrong\n")
    path.unlink()
    assert weights("pull", "net", "--registry", str(record))[0] == 0
    assert path.read_bytes() == whole
    assert weights("verify")[0] == 0


def test_shipped_weights_that_differ_are_told(weights, monkeypatch, tmp_path, lab):
    folder = Path(files.__file__).parent
    for path in (*folder.glob("*.json"), *folder.glob("*.onnx"), *folder.glob("*.safetensors")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(files, "__file__", str(tmp_path / "files.py"))
    (tmp_path / "compact.safetensors").write_bytes(b"X" + (folder / "compact.safetensors").read_bytes()[1:])
    assert weights("verify", "voice")[0] == 0
    status, said = weights("verify", "voice", "compact")
    assert status == 1
    assert "compact.safetensors is not the file that it was when vidfer was packed; reinstall vidfer" in said.out


def test_wrong_names_and_registries_end_in_a_sentence(lab, weights, tmp_path):
    status, said = weights("pull", "compact")
    assert (status, said.out) == (0, "compact: ships with vidfer, nothing to pull\n")
    status, said = weights("pull", "nix")
    assert status == 2
    assert (
        f"no weights 'nix' in vidfer, nor pulled: there are {', '.join(SHIPPED_NAMES)}, identity; others: --registry"
        in said.err
    )
    assert weights("pull", "../net", "--registry", lab.registry)[0] == 2
    status, said = weights("verify", "net", "--registry", lab.registry)
    assert (status, said.out) == (
        1,
        f"net: not here; fetch them: vidfer weights pull net --registry {lab.registry}\n",
    )
    (tmp_path / "r.json").write_text("no json")
    status, said = weights("list", "--registry", str(tmp_path / "r.json"))
    assert (status, said.err.count("\n")) == (1, 1)
    assert "r.json is no JSON" in said.err
    (tmp_path / "pulled").mkdir()
    (tmp_path / "pulled/x.pulled.json").write_text("{")
    status, said = weights("list")
    assert (status, "pulled/x.pulled.json is no JSON" in said.err) == (1, True)
    (tmp_path / "pulled/x.pulled.json").unlink()
    lab.files["/w/net.json"] = b"{}"
    assert weights("pull", "net", "--registry", lab.registry)[0] == 1
    assert not list((tmp_path / "pulled").iterdir())
