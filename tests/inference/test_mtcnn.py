"""The cascade against facenet-pytorch's, and what it makes of any image."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from vidfer.inference.boxes import AreaSampler, suppress
from vidfer.inference.mtcnn import MtcnnDetector
from vidfer.inference.network import Compute
from vidfer.media.decode import read_frames
from vidfer.media.detect import as_rgb
from vidfer.types import ClipError

CLIPS = (
    "clips/petercunha_dinner/dinner.mp4",
    "clips/face_recognition_samples/short_hamilton_clip.mp4",
    "clips/edtalk_samples/pose_source2.mp4",
)


@pytest.fixture
def reference(monkeypatch):
    """Faces as facenet-pytorch 2.5.3 finds them, the largest first, as boxes, scores and landmarks.

    Candidates with equal scores of 1 are frequent, and which of them its last step keeps depends on how NumPy sorts on this
    processor: here always the first.
    """
    from facenet_pytorch import MTCNN
    from facenet_pytorch.models.utils import detect_face

    def argsort(scores):
        return np.argsort(-scores, kind="stable")[::-1]

    names = {name: getattr(np, name) for name in dir(np) if not name.startswith("_")}
    monkeypatch.setattr(detect_face, "np", SimpleNamespace(**{**names, "argsort": argsort}))
    mtcnn = MTCNN(keep_all=True)

    def find(image, long_side=480, min_face=0.08):
        scale = min(1.0, long_side / max(image.shape))
        mtcnn.min_face_size = max(20, round(min_face * round(scale * min(image.shape[:2]))))
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        boxes, scores, points = mtcnn.detect(image, landmarks=True)
        if boxes is None:
            return np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2))
        return boxes.astype(float) / scale, scores.astype(float), points.astype(float) / scale

    return find


def assert_alike(found, expected):
    boxes, scores, points = expected
    assert len(found) == len(scores)
    np.testing.assert_allclose(found.boxes, boxes, atol=0.05)
    np.testing.assert_allclose(found.scores, scores, atol=2e-5)
    np.testing.assert_allclose(found.landmarks, points, atol=0.05)


def drawn(portrait):
    """Images with one face, none and many, of odd sizes and with faces cut off by every edge."""
    noise = np.random.default_rng(3).integers(0, 256, (230, 310, 3), np.uint8)
    crowd = np.hstack([np.vstack([portrait[20 + k : 220 + k, 80 + 9 * k : 290 + k]] * 2)[:400] for k in (0, 3, 9)])
    strip = np.full((150, 1500, 3), 90, np.uint8)
    strip[:, 700:850] = cv2.resize(portrait[20:220, 120:320], (150, 150))
    borders = [portrait[75:, 190:], portrait[:165, :255], portrait[70:300, 185:380]]
    small = [cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA) for side in (97, 180, 333)]
    return [portrait, noise, crowd, strip, strip.transpose(1, 0, 2), *borders, *small, np.zeros((90, 90, 3), np.uint8)]


def test_generated_images_give_what_facenet_pytorch_finds(detector, portrait, reference):
    counts = []
    for image in map(np.ascontiguousarray, drawn(portrait)):
        found = detector.detect([image])[0]
        assert_alike(found, reference(image))
        counts.append(len(found))
    assert min(counts) == 0
    assert max(counts) >= 4
    assert sum(map(bool, counts)) >= 8


@pytest.mark.parametrize(("long_side", "min_face"), [(240, 0.2), (960, 0.05)])
def test_settings_do_what_they_do_there(detector, portrait, reference, long_side, min_face):
    how = {"long_side": long_side, "min_face": min_face}
    assert_alike(detector.detect([portrait], **how)[0], reference(portrait, **how))


@pytest.mark.parametrize("clip", CLIPS)
def test_real_frames_give_what_facenet_pytorch_finds(detector, data_dir, reference, clip):
    for frame, _ in zip(read_frames(data_dir / clip, fps=0.5), range(2), strict=False):
        assert_alike(detector.detect([frame.image])[0], reference(frame.image))


@pytest.mark.slow
def test_all_real_clips_give_what_facenet_pytorch_finds(detector, data_dir, reference):
    faces = 0
    clips = [*(data_dir / "clips").glob("*/*.mp4"), *sorted((data_dir / "ravdess_av/actor01_mp4").glob("*.mp4"))[:4]]
    for clip in clips:
        with contextlib.suppress(ClipError):  # two break off or cannot be read at all
            for frame, _ in zip(read_frames(clip, fps=0.5), range(4), strict=False):
                for long_side in (320, 480, 720):
                    found = detector.detect([frame.image], long_side=long_side)[0]
                    assert_alike(found, reference(frame.image, long_side=long_side))
                    faces += len(found)
    assert faces > 200


def test_torch_finds_the_same(detector, portrait):
    by_torch = MtcnnDetector(Compute(backend="torch"))
    one, other = (each.detect([portrait])[0] for each in (detector, by_torch))
    assert_alike(one, (other.boxes, other.scores, other.landmarks))
    again, other = (each.refine(portrait, one.boxes + 5) for each in (detector, by_torch))
    assert_alike(again, (other.boxes, other.scores, other.landmarks))


def test_threads_may_share_a_detector(detector, portrait):
    images = [portrait, portrait[:, ::-1], portrait[:300], portrait[:, 100:400]]
    alone = [detector.detect([image])[0].boxes for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda image: detector.detect([image])[0].boxes, images)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_sampling_by_areas_is_torchs():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (61, 83, 3), np.uint8)
    sampler = AreaSampler(image)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].double()

    def expected(part, size):
        return (torch.nn.functional.interpolate(part, size, mode="area")[0].numpy() - 127.5) / 128

    for size in ((61, 83), (23, 41), (1, 1), (90, 100)):
        np.testing.assert_allclose(sampler.whole(*size), expected(tensor, size), atol=1e-5)
    low = rng.integers(0, 40, (30, 2))
    boxes = np.hstack([low, low + rng.integers(1, 21, (30, 2))])
    boxes[0] = 0, 0, 83, 61
    for side in (24, 48):
        for (x0, y0, x1, y1), part in zip(boxes, sampler.parts(boxes, side), strict=True):
            np.testing.assert_allclose(part, expected(tensor[..., y0:y1, x0:x1], (side, side)), atol=1e-5)


def test_what_is_left_of_overlapping_boxes_is_what_torchvision_leaves():
    from torchvision.ops import nms

    rng = np.random.default_rng(1)
    low = rng.uniform(0, 90, (700, 2))  # more than are compared at once
    boxes = np.hstack([low, low + rng.uniform(1, 40, (700, 2))]).astype(np.float32)
    scores = rng.uniform(size=700).astype(np.float32)
    for threshold in (0.2, 0.5, 0.7):
        expected = nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold).numpy()
        np.testing.assert_array_equal(suppress(boxes, scores, threshold), expected)
    inside = np.array([[0, 0, 10, 10], [2, 2, 5, 5], [20, 0, 30, 10]], np.float32)
    ranks = np.array([0.9, 0.8, 0.95], np.float32)
    assert suppress(inside, ranks, 0.5).tolist() == [2, 0, 1]
    assert suppress(inside, ranks, 0.5, of_smaller=True).tolist() == [2, 0]


def test_finds_the_face_and_puts_landmarks_in_order(detector, portrait):
    (faces,) = detector.detect([portrait])
    assert len(faces) == 1
    assert faces.boxes[0] == pytest.approx([180, 60, 268, 175], abs=12)
    left, right, nose, mouth_left, mouth_right = faces.landmarks[0]
    assert left[0] < nose[0] < right[0]
    assert mouth_left[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_coordinates_are_of_the_full_image(detector, portrait):
    large = np.kron(portrait, np.ones((3, 3, 1), np.uint8))
    small, big = (detector.detect([image])[0] for image in (portrait, large))
    np.testing.assert_allclose(big.boxes / 3, small.boxes, atol=6)


def test_several_faces_and_none(detector, portrait):
    face = portrait[0:256, 96:352]
    both, none = detector.detect([np.hstack([face, face]), np.zeros((200, 200, 3), np.uint8)])
    assert len(both) == 2
    assert len(none) == 0
    assert none.boxes.shape == (0, 4)
    assert none.landmarks.shape == (0, 5, 2)


def test_the_same_input_gives_the_same_bits(detector, portrait):
    one, other = detector.detect([portrait])[0], detector.detect([portrait, portrait])[1]
    np.testing.assert_array_equal(one.boxes, other.boxes)
    np.testing.assert_array_equal(one.landmarks, other.landmarks)


def test_odd_images(detector, portrait):
    gray = portrait.mean(axis=2).astype(np.uint8)
    rgba = np.dstack([portrait, np.full(portrait.shape[:2], 255, np.uint8)])
    counts = [len(faces) for faces in detector.detect([gray, gray[..., None], rgba])]
    assert counts == [1, 1, 1]
    tiny = [np.zeros(shape, np.uint8) for shape in ((10, 10, 3), (1, 1, 3), (4, 400, 3), (400, 15, 3))]
    assert [len(faces) for faces in detector.detect(tiny)] == [0, 0, 0, 0]
    with pytest.raises(ValueError, match="need an image"):
        as_rgb(np.zeros((3, 4, 5), np.uint8))


def test_refining_corrects_a_box_and_scores_an_empty_place(detector, portrait):
    true = detector.detect([portrait])[0]
    off, wall = true.boxes[0] + [10, -8, 10, -8], np.array([380.0, 20, 480, 120])
    again = detector.refine(portrait, np.stack([off, wall]))
    assert again.scores[0] > 0.95
    assert again.scores[1] < 0.3
    np.testing.assert_allclose(again.landmarks[0], true.landmarks[0], atol=5)


def test_refining_takes_any_box(detector, portrait):
    boxes = np.array([[9, 9, 9, 9], [50, 50, 20, 20], [-900, 0, -800, 90], [np.nan, 0, 1, 1], [-40, -40, 60, 60]])
    again = detector.refine(portrait, boxes)
    assert len(again) == 5
    assert (again.scores[:4] == 0).all()
    assert len(detector.refine(portrait, np.zeros((0, 4)))) == 0
