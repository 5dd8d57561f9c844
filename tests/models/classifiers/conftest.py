import pytest
import torch

from vidfer.media.align import TEMPLATE

FRAMES, WINDOWS, FACE, VOICE = 5, 3, 12, 30


@pytest.fixture
def clips():
    """Make a batch of clips of random content; each has one to five faces and one to three windows."""

    def make(count=16, seed=0):
        rng = torch.Generator().manual_seed(seed)
        seen, heard = (
            torch.randint(1, FRAMES + 1, (count, 1), generator=rng),
            torch.randint(1, WINDOWS + 1, (count, 1), generator=rng),
        )
        return {
            "target": torch.arange(count) % 7,
            "frames": torch.randn(count, FRAMES, FACE, generator=rng),
            "frame_mask": torch.arange(FRAMES) < seen,
            "image": torch.randn(count, FRAMES, 1, 48, 48, generator=rng),
            "landmarks": torch.tensor(TEMPLATE).expand(count, FRAMES, 5, 2).clone(),
            "sound": torch.randn(count, WINDOWS, VOICE, generator=rng) * 5 + 3,
            "sound_mask": torch.arange(WINDOWS) < heard,
        }

    return make


@pytest.fixture
def sizes():
    """The lengths of the vectors in `clips`."""
    return {"num_frame_features": FACE, "num_sound_features": VOICE}


@pytest.fixture
def learn():
    """Train a classifier on one batch by SGD with momentum."""

    def run(network, batch, steps=150, lr=0.02):
        torch.manual_seed(0)
        network.prepare(batch)
        optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9)
        for _ in range(steps):
            loss = network.loss(batch, torch.nn.functional.nll_loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return network.eval()

    return run
