"""Odd pictures at the detector and at the networks of faces: no error, and a batch gives what single pictures give."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidfer.inference.identity import IdentityModel
from vidfer.inference.models import ImageModel
from vidfer.inference.mtcnn import MtcnnDetector
from vidfer.inference.network import Compute, load_model
from vidfer.inference.occlusion import occlusion_model
from vidfer.types import VidferError
from vidfer.weights.files import find_weights, weights_digest

BACKENDS = ("onnx", "torch")


def odd_pictures(portrait):
    """Pictures by name, each with the number of faces that have to be found, or None where any number is right."""
    rng = np.random.default_rng(15)
    face = portrait[30:200, 150:300]
    noise = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    gray = portrait.mean(axis=2).astype(np.uint8)
    return {
        "none": (noise, None),
        "thirty": (np.tile(face, (5, 6, 1)), 30),
        "profile": (np.ascontiguousarray(portrait[20:220, 200:300]), None),
        "tiny face": (np.pad(portrait[::12, ::12], ((200, 200), (300, 300), (0, 0))), None),
        "gray": (gray, 1),
        "gray with an axis": (gray[..., None], 1),
        "alpha": (np.dstack([portrait, np.zeros(portrait.shape[:2], np.uint8)]), 1),
        "10 x 10": (portrait[60:70, 200:210], 0),
        "one pixel": (portrait[:1, :1], 0),
        "one pixel high": (noise[:1], 0),
        "one pixel wide": (noise[:, :1], 0),
        "no pixel": (noise[:0], 0),
        "a strip": (rng.integers(0, 256, (2, 20_000, 3), dtype=np.uint8), 0),
        "black": (np.zeros((480, 640, 3), np.uint8), 0),
        "white": (np.full((480, 640, 3), 255, np.uint8), 0),
        "a view": (portrait[:, ::-1], 1),
        "by columns": (np.asfortranarray(portrait), 1),
        "read only": (np.frombuffer(portrait.tobytes(), np.uint8).reshape(portrait.shape), 1),
        "upside down": (portrait[::-1], None),
    }


def same(one, other):
    for name in ("boxes", "scores", "landmarks"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("backend", [BACKENDS[0], pytest.param(BACKENDS[1], marks=pytest.mark.slow)])
def test_any_picture_is_searched_and_a_batch_finds_what_single_pictures_have(portrait, backend, figure):
    detector = MtcnnDetector(Compute(backend=backend))
    pictures = odd_pictures(portrait)
    single = {name: detector.detect([image])[0] for name, (image, _) in pictures.items()}
    batch = detector.detect([image for image, _ in reversed(pictures.values())])[::-1]
    for (name, (_, count)), together in zip(pictures.items(), batch, strict=True):
        found = single[name]
        assert count is None or len(found) == count, f"{name}: {len(found)} faces"
        same(found, together)
        assert np.isfinite(found.boxes).all(), name
        assert np.isfinite(found.landmarks).all(), name
        assert ((found.scores >= 0) & (found.scores <= 1)).all(), name
    figure(f"{backend}: {len(pictures)} odd pictures, {sum(map(len, batch))} faces; batches equal")


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.uint16, np.int64, bool])
def test_numbers_of_another_kind_are_refused(detector, portrait, kind):
    with pytest.raises(ValueError, match="uint8"):
        detector.detect([portrait.astype(kind)])


@pytest.mark.slow
def test_pictures_of_any_shape_are_searched(detector):
    @settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        height=st.integers(0, 400),
        width=st.integers(0, 400),
        channels=st.sampled_from([(), (1,), (3,), (4,)]),
        seed=st.integers(0, 99),
        long_side=st.integers(1, 600),
        min_face=st.floats(0.001, 1.0),
    )
    def search(height, width, channels, seed, long_side, min_face):
        image = np.random.default_rng(seed).integers(0, 256, (height, width, *channels), dtype=np.uint8)
        (found,) = detector.detect([image], long_side=long_side, min_face=max(min_face, 0.02))
        assert np.isfinite(found.boxes).all()

    search()


def crops_of(portrait):
    """Crops as the chain makes them of odd faces, (9, 160, 160, 3)."""
    import cv2

    rng = np.random.default_rng(1)
    face = cv2.resize(portrait[40:190, 150:300], (160, 160))
    gray = np.repeat(face.mean(axis=2, keepdims=True), 3, 2).astype(np.uint8)
    tiny = cv2.resize(cv2.resize(face, (5, 5)), (160, 160))
    odd = [face, face[:, ::-1], gray, tiny, face * 0, face * 0 + 255, face[::-1], cv2.GaussianBlur(face, (0, 0), 9)]
    return np.stack([*odd, rng.integers(0, 256, face.shape, dtype=np.uint8)])


def networks(backend):
    compute = Compute(backend=backend)
    image = load_model(ImageModel, "compact", weights_digest("image", "compact"), compute)
    found = {"image": lambda crops: np.hstack(image(crops, tta=None)), "occlusion": occlusion_model()}
    try:
        find_weights("identity", "facenet_vggface2")
    except VidferError:
        return found
    digest = weights_digest("identity", "facenet_vggface2")
    return {**found, "identity": load_model(IdentityModel, "facenet_vggface2", digest, compute)}


@pytest.mark.parametrize("backend", [BACKENDS[0], pytest.param(BACKENDS[1], marks=pytest.mark.slow)])
def test_networks_of_faces_give_in_batches_what_they_give_singly(portrait, backend):
    crops = crops_of(portrait)
    for name, network in networks(backend).items():
        whole = network(crops)
        assert np.isfinite(whole).all(), name
        single = np.concatenate([network(crop[None]) for crop in crops])
        np.testing.assert_allclose(whole, single, rtol=1e-4, atol=1e-4, err_msg=name)
        mixed = network(np.concatenate([crops[::-1], crops]))
        np.testing.assert_allclose(mixed[len(crops) :], whole, rtol=1e-4, atol=1e-4, err_msg=name)
        assert len(network(crops[:0])) == 0


@pytest.mark.slow
def test_both_backends_agree_on_odd_faces(portrait):
    crops = crops_of(portrait)
    onnx, torch = networks("onnx"), networks("torch")
    for name, network in onnx.items():
        np.testing.assert_allclose(network(crops), torch[name](crops), rtol=2e-3, atol=2e-3, err_msg=name)
