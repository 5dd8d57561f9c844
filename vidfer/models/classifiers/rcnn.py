"""A convolutional network that looks at eyes, nose and mouth by themselves."""

from typing import Final

import torch
from torch import Tensor, nn

from vidfer.models.classifiers.base import NUM_CLASSES
from vidfer.models.classifiers.cnn import CNNClassifier

_EDGE: Final = 48  # px of the image
_STRIDE: Final = 8  # px of the image to a place of the feature map
_CELLS: Final = 3


class RCNNClassifier(CNNClassifier):
    """Features of regions, cut from a shared feature map by RoI-align at the landmarks, beside those of the whole face.

    The regions are both eyes, the nose and the mouth; the paper names R-CNN without a detail, so they are our reading.

    Args:
        width: Feature maps of the first of three convolutions.
        dropout: Share of the last features dropped in training, in [0, 1).

    References:
        Girshick et al.: Rich feature hierarchies for accurate object detection. CVPR 2014.
        He, Gkioxari, Dollar, Girshick: Mask R-CNN. ICCV 2017 (RoI-align).
    """

    def __init__(self, width: int = 16, dropout: float = 0.3) -> None:
        super().__init__(width, dropout)
        self.region = nn.Sequential(nn.Linear(4 * width * _CELLS**2, 2 * width), nn.ReLU(inplace=True))
        self.head = nn.Linear(4 * width + 4 * 2 * width, NUM_CLASSES)

    def face_logits(self, image: Tensor, landmarks: Tensor) -> Tensor:
        """Map faces `(N, 1, 48, 48)` and landmarks `(N, 5, 2)` to logits `(N, 7)`."""
        from torchvision.ops import roi_align

        features = self.features(image)
        boxes = regions(landmarks) * _EDGE
        cut = roi_align(
            features, list(boxes.to(features)), _CELLS, spatial_scale=1 / _STRIDE, sampling_ratio=2, aligned=True
        )
        parts = self.region(cut.flatten(1)).reshape(len(image), -1)
        logits: Tensor = self.head(self.dropout(torch.cat([features.mean(dim=(2, 3)), parts], dim=1)))
        return logits


def regions(landmarks: Tensor) -> Tensor:
    """Lay squares around left eye with its brow, right eye, nose and mouth, sized by the distance of the eyes.

    Landmarks `(N, 5, 2)` are x and y of left eye, right eye, nose, left and right mouth corner; boxes `(N, 4, 4)` are x0, y0,
    x1, y1; all as shares of the image's edge.
    """
    left, right, nose, mouth_left, mouth_right = landmarks.unbind(1)
    distance = (right - left).norm(dim=1)[:, None]
    up = distance.new_tensor([0.0, -0.1]) * distance  # brows say more than cheeks
    centres = torch.stack([left + up, right + up, nose, (mouth_left + mouth_right) / 2], dim=1)
    half = distance[:, None] * distance.new_tensor([0.4, 0.4, 0.35, 0.5])[:, None] * 0.9
    return torch.cat([centres - half, centres + half], dim=2)
