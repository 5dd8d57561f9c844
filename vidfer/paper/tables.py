"""The paper's tables as they are rerun: which figure of which cells, in what unit."""

from dataclasses import dataclass
from typing import Final

MODELS: Final = {"cnn": "CNN", "rcnn": "R-CNN", "lstm": "LSTM", "dbn": "DBN", "rnn": "RNN", "gan": "GAN-SGDMA"}
"""The paper's columns, in its order, with their titles."""

CLASSIFY: Final = "classify"
DENOISE: Final = "denoise"

SIZE_RATIO: Final = 2
"""The paper's denoisers are given twice as many images as its classifiers are given clips."""


@dataclass(frozen=True)
class Table:
    """One table of the paper, or a companion that the paper lacks.

    Args:
        number: As in the paper; `3b` is the companion of table 3.
        figure: The number of the paper's figure of the same values; `7b` likewise.
        name: Short, for file names.
        title: What is measured.
        task: Whose cells are read: `CLASSIFY` or `DENOISE`.
        key: The figure's name in a cell.
        unit: Of what is printed.
        scale: From a cell's figure to what is printed.
        low: Smallest value that can be, in the unit; an interval is drawn and printed from there on.
        high: Largest value that can be.
        digits: Decimals that are printed; None for three significant digits.
        chance: What equal shares for every class, or guessing, would reach, in the unit; None where that means nothing.
        axis: What stands beside the axis; the title if it is not given.
        before: Name of the same figure of what a denoiser is given; empty where there is none.
    """

    number: str
    figure: str
    name: str
    title: str
    task: str
    key: str
    unit: str
    scale: float = 1.0
    low: float | None = None
    high: float | None = None
    digits: int | None = 1
    chance: float | None = None
    axis: str = ""
    before: str = ""

    @property
    def samples(self) -> str:
        """What the sizes count."""
        return "training clips" if self.task == CLASSIFY else "training images"


def _share(number: str, figure: str, name: str, title: str, key: str, chance: float | None = None) -> Table:
    return Table(number, figure, name, title, CLASSIFY, key, "%", 100.0, 0.0, 100.0, 1, chance)


TABLES: Final = (
    _share("1", "5", "precision", "Precision, mean over the classes", "precision"),
    _share("2", "6", "recall", "Recall, mean over the classes", "recall", 100 / 7),
    Table(
        "3",
        "7",
        "psnr",
        "Peak signal-to-noise ratio of denoisers",
        DENOISE,
        "psnr",
        "dB",
        digits=2,
        axis="PSNR",
        before="psnr_noisy",
    ),
    _share("4", "8", "accuracy", "Accuracy", "accuracy", 100 / 7),
    Table("5", "9", "time", "Execution time", CLASSIFY, "seconds", "s", low=0.0, digits=None),
    _share("6", "10", "rmse", "RMSE of the class probabilities", "rmse", 100 * (6 / 49) ** 0.5),
    Table(
        "3b",
        "7b",
        "pixel_rmse",
        "RMSE of the denoisers' pixels",
        DENOISE,
        "rmse",
        "on 0-255",
        low=0.0,
        digits=2,
        axis="RMSE of pixels",
    ),
)
"""Tables 1 to 6 with figures 5 to 10, and the companion of table 3."""


def choose_tables(numbers: tuple[str, ...] | None = None) -> tuple[Table, ...]:
    """Choose tables by number; table 3 brings its companion.

    Args:
        numbers: Of the paper's tables; None for all.
    """
    return tuple(each for each in TABLES if numbers is None or each.number.rstrip("b") in numbers)
