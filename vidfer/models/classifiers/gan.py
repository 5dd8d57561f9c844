"""GAN-SGDMA: a classifier that is also trained to tell real vectors from generated ones (P11, P17).

References:
    Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen: Improved techniques for training GANs. NIPS 2016, sections 3.1 and 5.
    The paper gives the name but no architecture, so this one is our reading.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidfer.models import shares
from vidfer.models.batches import ClipBatch
from vidfer.models.classifiers.base import (
    FRAME_FEATURES,
    NUM_CLASSES,
    SOUND_FEATURES,
    Criterion,
    VectorClassifier,
    pool_vectors,
)


class GANClassifier(VectorClassifier):
    """A discriminator of seven classes and "generated", against a class-conditional generator of vectors.

    The discriminator's seven logits l also give the probability that a vector is real: D(x) = Z / (Z + 1) with Z = sum exp(l),
    the (K + 1)-class form with the last logit fixed at 0. Vectors of clips without label (target -1) count as real, too. The
    generator follows the mean of the discriminator's features over the batch's real vectors (feature matching), and the
    cross-entropy of its class. Both are trained on one loss by one optimiser, each with the other held constant.

    Args:
        hidden: Units of the discriminator's hidden layer, whose activations are the features.
        noise: Length of the generator's noise.
        adversarial: Weight of the real-or-generated part of the discriminator's loss.
        input_dropout: Share of the discriminator's inputs dropped in training, in [0, 1).
        dropout: Share of its hidden units dropped in training, in [0, 1).
    """

    training_only = ("generator.",)

    def __init__(
        self,
        modality: str = "sound",
        num_frame_features: int = FRAME_FEATURES,
        num_sound_features: int = SOUND_FEATURES,
        hidden: int = 256,
        noise: int = 64,
        adversarial: float = 0.1,
        input_dropout: float = 0.5,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(modality, num_frame_features, num_sound_features)
        self.noise, self.adversarial = noise, adversarial
        self.body = nn.Sequential(nn.Dropout(input_dropout), nn.Linear(self.num_features, hidden), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, NUM_CLASSES))
        self.generator = nn.Sequential(
            nn.Linear(noise + NUM_CLASSES, hidden), nn.ReLU(), nn.Linear(hidden, self.num_features)
        )

    def member_log_probs(self, vectors: Tensor) -> Tensor:
        """Map vectors `(N, F)` to log-probabilities `(1, N, 7)`, given that they are real."""
        logits: Tensor = self.head(self.body(self.standardise(vectors)))
        return logits.log_softmax(1)[None]

    def generate(self, target: Tensor) -> Tensor:
        """Generate standardised vectors `(N, F)` of classes `(N,)`."""
        noise = torch.randn(len(target), self.noise, device=target.device)
        vectors: Tensor = self.generator(torch.cat([noise, functional.one_hot(target, NUM_CLASSES).float()], dim=1))
        return vectors

    def loss(self, batch: ClipBatch, criterion: Criterion) -> Tensor:
        """Add the discriminator's loss and the generator's."""
        vectors, clip = self.vectors(batch)
        real = self.standardise(vectors)
        labelled = batch["target"] >= 0
        with shares.rows(clip, len(labelled)):
            return self._loss(real, clip, labelled, batch["target"], criterion)

    def _loss(self, real: Tensor, clip: Tensor, labelled: Tensor, target: Tensor, criterion: Criterion) -> Tensor:
        features = self.body(real)
        logits = self.head(features)
        kept = labelled[clip]
        pooled = pool_vectors(logits[kept].log_softmax(1)[None], clip[kept], len(labelled))[0]
        supervised = criterion(pooled[labelled], target[labelled])
        wanted = torch.randint(NUM_CLASSES, (len(real),), device=real.device)
        generated = self.generate(wanted)
        adversarial = real_or_generated_loss(logits, self.head(self.body(generated.detach())))
        return supervised + self.adversarial * adversarial + self._generator_loss(features, generated, wanted)

    def _generator_loss(self, features: Tensor, generated: Tensor, wanted: Tensor) -> Tensor:
        discriminator = (self.body, self.head)
        for part in discriminator:
            part.requires_grad_(False)
        matched = self.body(generated)
        of_class = shares.weighed(functional.cross_entropy(self.head(matched), wanted), len(wanted))
        loss = feature_matching_loss(features.detach(), matched) + of_class
        for part in discriminator:
            part.requires_grad_(True)
        return loss


def real_or_generated_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Compute the discriminator's unsupervised loss from logits `(N, K)` and `(M, K)`: -E[log D(x)] - E[log(1 - D(G(z)))].

    D(x) = Z / (Z + 1), Z = sum exp(logits): Salimans et al. 2016, section 5.
    """
    of_real, of_generated = functional.softplus(-real.logsumexp(1)), functional.softplus(generated.logsumexp(1))
    return shares.weighed(of_real.mean(), len(real)) + shares.weighed(of_generated.mean(), len(generated))


def feature_matching_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Compute ||E f(x) - E f(G(z))||^2 / H from features `(N, H)` and `(M, H)`: Salimans et al. 2016, section 3.1."""
    return (shares.mean_rows(real) - shares.mean_rows(generated)).square().mean()
