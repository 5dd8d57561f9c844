import cv2
import torch

from vidfer.datamodules.augment import ImageAugmentation
from vidfer.models.preprocess import Preprocessing, standardise


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
