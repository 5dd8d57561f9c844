"""A training batch that several processes share: random draws, means and batch norms as of one process that has all of it.

Row j of the process of rank r is row `j * world + r` of the whole batch. All processes start from one random state and draw for
the whole batch, so that each sees its part of what a single process would have drawn. In a single process, all of this does
nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True)
class _Layout:
    """What the first axis of tensors is: `len(index)` rows here, at the places `index` among the `total` of all processes."""

    index: Tensor
    total: int


_sharing: list["_SharedBatch"] = []  # the one that is entered, if any


def world() -> tuple[int, int]:
    """Return this process's rank, and the number of processes that train together."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


@contextmanager
def sharing(size: int) -> Iterator[None]:
    """Treat what is drawn for `size` rows as part of a draw for the rows of all processes, which have as many each."""
    rank, count = world()
    if count == 1:
        yield
        return
    batch = _SharedBatch(_Layout(torch.arange(size) * count + rank, size * count))
    _sharing.append(batch)
    try:
        with batch:
            yield
    finally:
        _sharing.pop()


@contextmanager
def rows(of: Tensor, size: int) -> Iterator[None]:
    """Within `sharing`, treat the first axis as rows of samples, such as a clip's windows: each of the sample `of`, int `(N,)`.

    `of` rises, in [0, size); the size is the same in all processes, N need not be.
    """
    if not _sharing:
        yield
        return
    batch, (rank, count) = _sharing[-1], world()
    counts = torch.bincount(of, minlength=size)
    start = counts.cumsum(0) - counts
    whole = _gathered(counts).T.reshape(-1)
    before = whole.cumsum(0) - whole
    index = before[of * count + rank] + torch.arange(len(of), device=of.device) - start[of]
    outer, batch.layout = batch.layout, _Layout(index, int(whole.sum()))
    try:
        yield
    finally:
        batch.layout = outer


def whole(own: Tensor) -> Tensor:
    """Collect a tensor's rows of all processes, without gradient: as many here as there."""
    if not _sharing:
        return own
    together = _gathered(own.detach().contiguous()).flatten(0, 1)
    places = _gathered(_sharing[-1].layout.index.to(own.device)).flatten()
    return together[places.argsort()]


def part(of_all: Tensor) -> Tensor:
    """Take this process's rows of what `whole` gave."""
    return of_all[_sharing[-1].layout.index.to(of_all.device)] if _sharing else of_all


def total(values: Tensor) -> Tensor:
    """Sum a tensor over the processes, element by element, with its gradient."""
    if not _sharing:
        return values
    from torch.distributed.nn.functional import all_reduce

    summed: Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
    return summed


def processes() -> int:
    """Return how many processes share what is computed now."""
    return world()[1] if _sharing else 1


def longest(length: int) -> int:
    """Return the greatest of the processes' lengths."""
    return int(_gathered(torch.tensor([length])).max()) if _sharing else length


def some(there: Tensor) -> bool:
    """Tell whether anything is true in any process."""
    return bool(total(there.sum()) > 0)


def weighed(mean: Tensor, weight: Tensor | int) -> Tensor:
    """Scale a mean over this process's rows, which weigh so much together, for the mean over processes to be that over all rows.

    DDP averages the gradients of the processes' losses, whether these have a hundred rows or one. Without any row, `mean` may be
    anything, and counts as 0.
    """
    if not _sharing:
        return mean
    own = torch.as_tensor(weight, dtype=mean.dtype, device=mean.device).detach()
    share = own * world()[1] / total(own)
    return mean * share if own > 0 else torch.zeros_like(mean)


def mean_rows(values: Tensor) -> Tensor:
    """Average `(N, F)` over the rows of all processes, with its gradient: `(F,)`."""
    if not _sharing:
        return values.mean(0)
    return total(values.sum(0)) / _sharing[-1].layout.total


def _gathered(own: Tensor) -> Tensor:
    """Stack what each process has, by rank: one more axis, the first."""
    found = [torch.empty_like(own) for _ in range(world()[1])]
    dist.all_gather(found, own)
    return torch.stack(found)


class _SharedBatch(TorchFunctionMode):
    """Draws rows for all processes and keeps this one's; gives batch norms the statistics of all."""

    def __init__(self, layout: _Layout) -> None:
        super().__init__()
        self.layout = layout

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:  # noqa: ANN401 - any function of torch
        options = dict(kwargs or {})
        if func in _DRAWS:
            return self._draw(func, list(args), options)
        if func in (torch.rand_like, torch.randn_like, Tensor.bernoulli_) and self._is_mine(args[0].shape):
            like = args[0].new_empty(self.layout.total, *args[0].shape[1:])
            drawn = self._mine(func(like, *args[1:], **options))
            return args[0].copy_(drawn) if func is Tensor.bernoulli_ else drawn
        if func is functional.dropout:
            return self._dropout(*args, **options)
        if func is functional.batch_norm:
            return _batch_norm(*args, **options)
        return func(*args, **options)

    def _is_mine(self, size: Sequence[int]) -> bool:
        return len(size) > 0 and size[0] == len(self.layout.index)

    def _mine(self, drawn: Tensor) -> Tensor:
        return drawn[self.layout.index.to(drawn.device)]

    def _draw(self, func: Callable[..., Tensor], args: list[Any], options: dict[str, Any]) -> Tensor:
        fixed = 0 if func is not torch.randint else len(args) - 1
        size = list(args[fixed] if isinstance(args[fixed], Sequence) else args[fixed:])
        if not self._is_mine(size):
            return func(*args, **options)
        return self._mine(func(*args[:fixed], [self.layout.total, *size[1:]], **options))

    def _dropout(self, values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0 or not self._is_mine(values.shape):
            return functional.dropout(values, p, training, inplace)
        ones = values.new_ones(self.layout.total, *values.shape[1:])
        kept = self._mine(functional.dropout(ones, p, training))
        return values.mul_(kept) if inplace else values * kept


_DRAWS: Final = (torch.rand, torch.randn, torch.randint)


def _batch_norm(
    values: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise by the statistics over all processes, as `torch.nn.SyncBatchNorm` does, which wants a GPU."""
    if not training:
        return functional.batch_norm(values, running_mean, running_var, weight, bias, training, momentum, eps)
    axes = [axis for axis in range(values.ndim) if axis != 1]
    shape = [-1 if axis == 1 else 1 for axis in range(values.ndim)]
    count = float(total(torch.tensor(float(values.numel() // values.shape[1]), device=values.device)))
    precise = values.to(torch.promote_types(values.dtype, torch.float32))
    mean = total(precise.sum(axes)) / count
    centred = precise - mean.view(shape)
    variance = total(centred.square().sum(axes)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean), momentum)
            running_var.lerp_((variance * (count / max(count - 1, 1))).to(running_var), momentum)
    normed = centred * (variance + eps).rsqrt().view(shape)
    if weight is not None:
        normed = normed * weight.view(shape)
    if bias is not None:
        normed = normed + bias.view(shape)
    return normed.to(values.dtype)
