import json

import numpy as np
import pytest

from vidfer.cli.main import main
from vidfer.datasets.synthetic import write_demo_clip
from vidfer.evaluation.noise import FacePredictions, compare, write_noisy
from vidfer.media.decode import Frame, read_frames
from vidfer.media.quality import noise_sigma
from vidfer.models.generator import Generator
from vidfer.types import ClipError
from vidfer.weights.files import save_weights


def faces(*rows):
    """Faces from (frame, left edge, label): boxes are 10 px squares at the top."""
    frame, left, label = np.array(rows, float).reshape(-1, 3).T
    box = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1)
    return FacePredictions(frame.astype(int), box, label.astype(int), np.zeros(len(frame)))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([(0, 0, 1), (0, 50, 2), (3, 0, 3)], (3, 3)),
        ([(0, 0, 1), (0, 50, 0), (3, 0, 3)], (3, 2)),
        ([(0, 50, 2), (0, 0, 1)], (2, 2)),
        ([(1, 0, 1)], (0, 0)),
        ([(0, 3, 1)], (1, 1)),  # 70 of 130 px shared
        ([(0, 4, 1)], (0, 0)),  # 60 of 140
        ([(0, 1, 0), (0, 0, 1)], (1, 1)),  # the nearer of two is the one
        ([], (0, 0)),
    ],
)
def test_faces_are_the_same_by_frame_and_overlap(other, expected):
    assert compare(faces((0, 0, 1), (0, 50, 2), (3, 0, 3)), faces(*other)) == expected


def test_a_noisy_copy_has_the_frames_and_the_times_and_the_noise(tmp_path):
    write_demo_clip(tmp_path / "clip.mp4", seconds=1.0)
    numbers = write_noisy(tmp_path / "clip.mp4", tmp_path / "noisy.nut", sigma=25, fps=5.0)
    clean = list(read_frames(tmp_path / "clip.mp4", fps=5.0))
    noisy = list(read_frames(tmp_path / "noisy.nut", fps=None))
    assert numbers == [frame.index for frame in clean]
    assert [frame.pts for frame in noisy] == pytest.approx([frame.pts for frame in clean], abs=1e-6)
    for one, two in zip(clean, noisy, strict=True):
        middle = (one.image > 80) & (one.image < 175)
        assert (two.image.astype(int) - one.image)[middle].std() == pytest.approx(25, rel=0.02)
        assert noise_sigma(two.image) == pytest.approx(25, rel=0.15)
    again = tmp_path / "again.nut"
    write_noisy(tmp_path / "clip.mp4", again, sigma=25, fps=5.0)
    assert again.read_bytes() == (tmp_path / "noisy.nut").read_bytes()


def test_frames_of_changing_size_are_refused(tmp_path, monkeypatch):
    frames = [Frame(k, k / 5, np.zeros((8, 8 + k, 3), np.uint8)) for k in range(2)]
    monkeypatch.setattr("vidfer.evaluation.noise.read_frames", lambda *_, **__: iter(frames))
    with pytest.raises(ClipError, match="change size"):
        write_noisy(tmp_path / "any.mp4", tmp_path / "noisy.nut", sigma=25, fps=5.0)


def test_a_line_a_clip_and_one_line_of_json(tmp_path, capsys):
    network = Generator("tiny", norm="none")
    for weight in network.tail.parameters():
        weight.data.zero_()
    card = {"kind": "denoise", "arch": "generator", "arguments": {"preset": "tiny", "norm": "none"}}
    save_weights(tmp_path / "identity.safetensors", network.state_dict(), {**card, "preprocessing": {}})
    write_demo_clip(tmp_path / "clips" / "clip.mp4", seconds=0.5)
    (tmp_path / "clips" / "notes.mp4").write_text("no video")
    command = ["evaluate", "clips", str(tmp_path / "clips"), "--denoise-model", str(tmp_path / "identity.safetensors")]
    assert main([*command, "--store", str(tmp_path / "store"), "--noise", "15"]) == 0
    out, err = capsys.readouterr()
    assert "notes.mp4: unsupported" in err
    head, clip, _, about, last = out.splitlines()
    assert head.split()[0] == "clip"
    assert clip.split()[:2] == ["clip.mp4", "3"]
    found = json.loads(last)
    assert found["about"] == about
    assert found["noise"] == 15
    (one,) = found["clips"]
    assert one["noise"] == pytest.approx(15, rel=0.15)
    assert (one["found_off"], one["found_auto"], one["changed"]) == (3, 3, 0)
    assert one["same_off"] == one["same_auto"]
    assert found["all"] == {name: one[name] for name in found["all"]}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--denoise-model", "nonsense"], 2, "no denoise weights 'nonsense'"),
        ([], 1, "no clip with a face"),
    ],
)
def test_faults_end_with_one_sentence(tmp_path, capsys, words, status, said):
    (tmp_path / "notes.mp4").write_text("no video")
    assert main(["evaluate", "clips", str(tmp_path), "--store", str(tmp_path / "store"), *words]) == status
    assert said in capsys.readouterr().err
