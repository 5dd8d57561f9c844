import torch

from vidfer.media.align import TEMPLATE
from vidfer.models.classifiers import build_classifier
from vidfer.models.classifiers.cnn import regions


def test_regions_lie_around_eyes_nose_and_mouth():
    left, right, nose, mouth = regions(torch.tensor(TEMPLATE)[None])[0]
    for box, (x, y) in zip((left, right, nose), TEMPLATE[:3], strict=True):
        assert box[0] < x < box[2]
        assert box[1] < y < box[3]
    assert mouth[0] < TEMPLATE[3][0] < TEMPLATE[4][0] < mouth[2]
    assert left[2] < right[0]  # the eyes do not overlap
    assert mouth[1] > left[3]


def test_regions_follow_the_landmarks():
    points = torch.tensor(TEMPLATE)[None]
    torch.testing.assert_close(regions(points + 0.1), regions(points) + 0.1)
    torch.testing.assert_close(regions(points * 0.5), regions(points) * 0.5)


def test_the_answer_depends_on_where_the_mouth_is():
    torch.manual_seed(0)
    network = build_classifier("rcnn").eval()
    image, points = torch.randn(1, 1, 48, 48), torch.tensor(TEMPLATE)[None]
    moved = points.clone()
    moved[:, 3:] -= 0.2
    with torch.no_grad():
        assert not torch.allclose(network.face_logits(image, points), network.face_logits(image, moved))
