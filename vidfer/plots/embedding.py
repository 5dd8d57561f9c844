"""Face images as the image network sees them, in two dimensions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from vidfer.plots.figure import WIDTHS, Width, one_line, styled
from vidfer.results.colours import COLOURS
from vidfer.results.truth import UNCERTAIN
from vidfer.types import VidferError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST: Final = 3
"""Images that have a projection."""

_MARKS: Final = dict(zip((*COLOURS, UNCERTAIN), "osD^vPX*", strict=True))
_COLOURS: Final = {**COLOURS, UNCERTAIN: "#000000"}


def plot_embedding(
    vectors: npt.NDArray[np.float32],
    expressions: Sequence[str],
    total: int,
    projection: str = "pca",
    title: str = "",
    *,
    width: Width = "single",
) -> "Figure":
    """Draw a mark for each face image, whose colour and shape say its most probable expression.

    Args:
        vectors: Embeddings `(N, D)`.
        expressions: One of the seven or `uncertain` for each.
        total: How many face images there are, of which N are drawn.
        projection: `pca`, the two directions of largest variance; or `tsne`, t-distributed stochastic neighbour embedding,
            which keeps neighbours together, with a fixed seed.
        title: Above all; shortened where it is too long.
        width: Of one or two columns of a journal.

    Raises:
        VidferError: There are fewer than `LEAST` images.
    """
    if len(vectors) < LEAST:
        images = "1 face image" if len(vectors) == 1 else f"{len(vectors)} face images"
        raise VidferError(f"there is no embedding to draw of {images}: it takes at least {LEAST}")
    places, names = _project(vectors, projection)
    kinds = np.array(expressions)
    with styled(width, 4.0 if width == "single" else 5.4) as figure:
        axes = figure.subplots()
        for name in [name for name in _MARKS if name in expressions]:
            x, y = places[kinds == name].T
            label = f"{name} ({len(x)})"
            axes.scatter(
                x,
                y,
                s=12,
                c=_COLOURS[name],
                marker=_MARKS[name],
                linewidths=0.3,
                edgecolors="#333333",
                alpha=0.85,
                label=label,
            )
        axes.set(xlabel=names[0], ylabel=names[1])
        axes.set_aspect("equal", adjustable="datalim")
        if projection == "tsne":
            axes.set(xticks=(), yticks=())
        drawn = f"{total} face images" if len(vectors) == total else f"{len(vectors)} of {total} face images"
        room = int(WIDTHS[width] * 14)
        figure.suptitle("\n".join(filter(None, [one_line(title, room), f"Embeddings of {drawn}"])))
        columns = 4 if width == "double" else 3
        figure.legend(
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            handletextpad=0.1,
            columnspacing=1.0,
            markerscale=1.4,
        )
    return figure


def _project(vectors: npt.NDArray[np.float32], projection: str) -> tuple[npt.NDArray[np.floating], tuple[str, str]]:
    """Return places `(N, 2)`, and what the axes are."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if projection == "tsne":
        perplexity = min(30.0, (len(vectors) - 1) / 3)
        model = TSNE(2, perplexity=perplexity, init="random", random_state=0, n_jobs=1)
        name = f"t-SNE, perplexity {perplexity:.0f}"
        return model.fit_transform(vectors), (f"{name}; first axis", "second axis")
    with np.errstate(invalid="ignore"):  # images that are all the same
        pca = PCA(2, svd_solver="full").fit(vectors)
    first, second = (f"{100 * share:.0f} % of the variance" for share in np.nan_to_num(pca.explained_variance_ratio_))
    return pca.transform(vectors), (f"first principal component, {first}", f"second, {second}")
