"""A small convolutional network on single faces."""

from torch import Tensor, nn

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
        log_probs = self.face_logits(batch["image"][mask], batch["landmarks"][mask]).log_softmax(1)
        return pool_vectors(log_probs[None], mask.nonzero()[:, 0], len(mask))[0]


def convolutions(width: int) -> nn.Sequential:
    """Build three strided 3x3 convolutions with batch norm: `(N, 1, 48, 48)` to `(N, 4 width, 6, 6)`."""
    layers: list[nn.Module] = []
    for before, after in ((1, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
