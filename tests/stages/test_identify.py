import numpy as np
import pytest

from vidfer.inference.identity import IdentityModel
from vidfer.inference.network import Compute
from vidfer.stages.clip_faces import best_faces, read_crops
from vidfer.stages.identify import BEST, IdentifyStage
from vidfer.types import Status


class Means:
    """Embeds a crop as the mean of each channel, so that the expected result is known by hand."""

    kind = "identity"

    def __call__(self, crops):
        points = crops.reshape(len(crops), -1, 3).mean(1)
        return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


STAGE = IdentifyStage("digest")


def test_the_best_faces_are_those_of_quality_with_ties_broken_by_looks_alone():
    table = {
        "track": np.array([1, 1, 1, 1, 2, 2]),
        "weight": np.array([0.5, 0.9, 0.9, 0.9, 0.1, 0.2]),
        "blur": np.array([0.0, 0.3, 0.2, 0.2, 0.5, 0.5]),
        "size": np.array([90.0, 90, 40, 50, 50, 50]),
        "yaw": np.zeros(6),
        "pitch": np.zeros(6),
        "time_s": np.arange(6.0),
    }
    assert best_faces(table).tolist() == [3, 5]
    assert best_faces(table, 2).tolist() == [2, 3, 4, 5]
    same = {name: np.ones(6) for name in table}
    assert best_faces({**same, "time_s": np.array([3.0, 1, 2, 1.5, 5, 4])}).tolist() == [1]


@pytest.mark.parametrize("seed", range(3))
def test_a_person_is_the_mean_of_the_best_usable_faces(seed, faces, loaded, ran, monkeypatch):
    monkeypatch.setattr("vidfer.stages.clip_faces.SHARD", 7)
    rng = np.random.default_rng(seed)
    count = 40
    person, weight = rng.integers(1, 4, count), rng.choice([0.1, 0.3, 0.6, 0.9], count)
    weight[person == 1] = 0.2  # nobody can tell who that is
    made, crops = faces(np.ones(count), shard=7, track=3 * person, weight=weight, blur=rng.random(count))
    loaded[IdentityModel.kind] = Means()
    found = ran(STAGE, {"faces": made}).arrays("identities.safetensors")
    table = made.table("faces.parquet")
    assert found["person"].tolist() == [2, 3]
    assert found["embedding"].dtype == np.float32
    for number, point, span in zip(found["person"], found["embedding"], found["span"], strict=True):
        rows = [row for row in range(count) if person[row] == number]
        assert span.tolist() == [rows[0] / 5, rows[-1] / 5]
        best = sorted(rows, key=lambda row: (-weight[row], table["blur"][row]))[:BEST]
        mean = Means()(crops[[row for row in best if weight[row] >= 0.25]]).astype(float).mean(0)
        np.testing.assert_allclose(point, mean / np.linalg.norm(mean), atol=1e-6)


def test_who_has_no_face_has_no_point(artifact, ran, faces, loaded):
    nobody = ran(STAGE, {"faces": artifact("faces", status=Status.NO_FACE, message="no face was found")})
    assert (nobody.status, nobody.names()) == (Status.NO_FACE, [])
    loaded[IdentityModel.kind] = Means()
    dark, _ = faces(np.ones(3), weight=np.full(3, 0.1))
    assert ran(STAGE, {"faces": dark}).names() == []


def test_each_file_of_crops_is_read_once(faces, monkeypatch):
    monkeypatch.setattr("vidfer.stages.clip_faces.SHARD", 8)
    made, crops = faces(np.ones(30), shard=8)
    read = []
    real = type(made).rows
    monkeypatch.setattr(type(made), "rows", lambda self, name, *of: read.append(name) or real(self, name, *of))
    rows = np.array([1, 2, 9, 29])
    np.testing.assert_array_equal(np.concatenate(list(read_crops(made, rows))), crops[rows])
    assert read == ["crops-00000.safetensors", "crops-00001.safetensors", "crops-00003.safetensors"]


def test_other_weights_have_another_key_and_another_device_has_not():
    recipe = STAGE.recipe("source", {"faces": "key"})
    assert (
        IdentifyStage("digest", compute=Compute("cuda"), identity_model="x").recipe("source", {"faces": "key"})
        == recipe
    )
    assert IdentifyStage("other").recipe("source", {"faces": "key"}) != recipe
