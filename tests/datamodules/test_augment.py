import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from vidfer.datamodules.augment import ImageAugmentation, VideoDegradation, compress
from vidfer.models.preprocess import Preprocessing, standardise
from vidfer.types import VidferError


def still(**changes):
    nothing = {
        "degrees": 0.0,
        "scale": (1.0, 1.0),
        "translation": 0.0,
        "brightness": 0.0,
        "contrast": 0.0,
        "erase": 0.0,
    }
    return ImageAugmentation(Preprocessing(), **{**nothing, **changes})


def test_with_everything_off_only_the_flip_is_left():
    image = torch.rand(40, 1, 48, 48)
    out = still()(image, 48)
    plain, mirrored = standardise(image), standardise(image.flip(3))
    flips = 0
    for i in range(40):
        same = torch.allclose(out[i], plain[i], atol=1e-3)
        assert same or torch.allclose(out[i], mirrored[i], atol=1e-3)
        flips += not same
    assert 8 < flips < 32


def test_rotation_stays_within_its_degrees():
    torch.manual_seed(0)
    image = torch.zeros(64, 1, 48, 48)
    image[:, :, 23:25, 4:44] = 1  # a level line
    out = still(degrees=12.0)(image, 48)
    angles = []
    for picture in out:
        points = (picture[0] > 1).nonzero().float()[:, [1, 0]].numpy()
        dx, dy = cv2.fitLine(points, cv2.DIST_L2, 0, 0.01, 0.01)[:2, 0]
        angles.append(abs(torch.rad2deg(torch.atan2(torch.tensor(dy), torch.tensor(dx))).item()))
    angles = [min(angle, 180 - angle) for angle in angles]
    assert max(angles) < 13
    assert max(angles) > 8


def test_every_size_channels_and_erasing():
    torch.manual_seed(0)
    augment = ImageAugmentation(Preprocessing(in_chans=3), erase=1.0)
    out = augment(torch.rand(8, 1, 48, 48), 32)
    assert out.shape == (8, 3, 32, 32)
    assert torch.isfinite(out).all()
    holes = (out[:, 0] == 0).float().mean(dim=(1, 2))
    assert (holes > 0.01).all()
    assert (holes < 0.3).all()


def pictures(count=6, size=48):
    rng = np.random.default_rng(0)
    return np.stack([gaussian_filter(rng.uniform(0, 255, (size, size)), 2) for _ in range(count)]).round()


def test_compression_loses_what_pillows_jpeg_loses():
    images = pictures()
    stretched = ((images - images.min()) / (images.max() - images.min()) * 255).round()
    quality = torch.tensor([10.0, 25.0, 40.0, 60.0, 80.0, 95.0])
    ours = compress(torch.tensor(stretched, dtype=torch.float32)[:, None] / 255, quality)[:, 0] * 255
    for picture, found, q in zip(stretched, ours.numpy(), quality.tolist(), strict=True):
        file = io.BytesIO()
        Image.fromarray(picture.astype(np.uint8)).save(file, "JPEG", quality=int(q))
        theirs = np.asarray(Image.open(file)).astype(float)
        # they round pixels and compute in integers, by which a coefficient next to a tie may fall to its other side
        assert np.median(np.abs(found - theirs)) <= 0.5
        assert np.abs(found - theirs).mean() < 0.5
        assert abs(np.abs(found - picture).mean() - np.abs(theirs - picture).mean()) < 0.1


def test_an_edge_that_is_no_multiple_of_eight():
    image = torch.tensor(pictures(2, 44), dtype=torch.float32)[:, None] / 255
    packed = compress(image, torch.tensor([30.0, 30.0]))
    assert packed.shape == image.shape
    assert 0.001 < (packed - image).abs().mean() < 0.05


def test_a_share_of_none_changes_nothing():
    image = torch.rand(4, 1, 48, 48)
    assert VideoDegradation(0.0)(image) is image


def test_each_fault_meets_its_share_of_the_images():
    torch.manual_seed(0)
    image = (torch.tensor(pictures(1), dtype=torch.float32)[:, None] / 255).expand(400, -1, -1, -1)
    out = VideoDegradation(0.2)(image)
    assert out.shape == image.shape
    assert out.min() >= 0
    assert out.max() <= 1
    untouched = (out == image).flatten(1).all(1).float().mean()
    assert 0.8**3 - 0.08 < untouched < 0.8**3 + 0.08


def test_shrinking_takes_detail_away():
    torch.manual_seed(0)
    image = torch.rand(8, 1, 48, 48)
    out = VideoDegradation(1.0, smallest=20, sigma=0, quality=(100, 100))(image)
    assert (out.std(dim=(1, 2, 3)) < 0.8 * image.std(dim=(1, 2, 3))).all()
    assert (out.mean(dim=(1, 2, 3)) - image.mean(dim=(1, 2, 3))).abs().max() < 0.01


def test_a_share_is_a_probability():
    with pytest.raises(VidferError, match="degrade"):
        VideoDegradation(-2)


def test_noise_and_shrinking_stay_within_their_limits():
    torch.manual_seed(0)
    image = torch.full((200, 1, 48, 48), 0.5)
    noise = VideoDegradation(1.0, smallest=47, sigma=20, quality=(100, 100))(image) - image
    spread = noise.flatten(1).std(1) * 255
    assert spread.max() < 21
    assert spread.max() > 15
    assert spread.min() < 3
