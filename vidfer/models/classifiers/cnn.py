"""Small convolutional networks on single faces: whole (`cnn`), or by regions around landmarks (`rcnn`)."""

from typing import Final

import torch
from torch import Tensor, nn

from vidfer.models import shares
from vidfer.models.batches import ClipBatch
from vidfer.models.classifiers.base import NUM_CLASSES, Classifier, pool_vectors


class CNNClassifier(Classifier):
    """Convolutions from pixels to each face's log-probabilities, pooled over the clip: a baseline without pretraining.

    Args:
        width: Feature maps of the first of three convolutions; the others have twice and four times as many.
        dropout: Share of the last features dropped in training, in [0, 1).
    """

    reads = ("image",)

    def __init__(self, width: int = 16, dropout: float = 0.3) -> None:
        super().__init__()
        self.features = convolutions(width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(4 * width, NUM_CLASSES)

    def face_logits(self, image: Tensor, landmarks: Tensor) -> Tensor:
        """Map faces `(N, 1, 48, 48)` to logits `(N, 7)`; the landmarks `(N, 5, 2)` are not used."""
        logits: Tensor = self.head(self.dropout(self.features(image).mean(dim=(2, 3))))
        return logits

    def forward(self, batch: ClipBatch) -> Tensor:
        """Map a batch to log-probabilities `(B, 7)`."""
        mask = batch["frame_mask"]
        clip = mask.nonzero()[:, 0]
        with shares.rows(clip, len(mask)):
            log_probs = self.face_logits(batch["image"][mask], batch["landmarks"][mask]).log_softmax(1)
        return pool_vectors(log_probs[None], clip, len(mask))[0]

    def of_clip(self, **parts: Tensor) -> dict[str, Tensor]:
        """Classify one clip by its faces."""
        log_probs = self.face_logits(parts["image"], parts["landmarks"]).log_softmax(1)
        return {"log_probs": log_probs.mean(0).log_softmax(0)}


def convolutions(width: int) -> nn.Sequential:
    """Build three strided 3x3 convolutions with batch norm: `(N, 1, 48, 48)` to `(N, 4 width, 6, 6)`."""
    layers: list[nn.Module] = []
    for before, after in ((1, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


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
