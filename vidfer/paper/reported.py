"""The figures that the paper reports, transcribed; none was reproduced, and none is ever used as ours.

They stand here alone, to be printed in a column of their own under `LABEL`. They cannot all be true: rounding an image to 8 bits
limits PSNR to 58.9 dB, and the paper's tables name no data set.

References:
    Cherian, Vaidhehi, Arshey: Optimized video facial expression recognition using generative adversarial networks with
    stochastic gradient descent momentum. Tables 1 to 6.
"""

from collections.abc import Mapping
from typing import Final

LABEL: Final = "paper (reported, not reproduced)"
"""Stands over every column and panel that holds these figures."""

_TABLES: Final = {
    "1": """
        50   67.11  70.32  74.62  78.43  83.13  90.11
        100  67.89  70.84  74.11  79.12  84.45  91.45
        150  68.12  71.45  75.87  79.53  85.12  92.61
        200  68.45  72.36  75.99  80.13  86.33  92.81
        250  69.72  73.12  76.12  81.45  87.12  93.15
        300  69.91  73.97  76.45  82.62  88.43  94.32
    """,
    "2": """
        50   70.12  73.65  80.11  82.62  85.15  91.42
        100  70.36  73.89  80.25  82.15  86.72  92.11
        150  70.11  74.12  80.43  83.46  87.32  93.45
        200  71.45  74.65  80.61  83.87  88.13  93.61
        250  72.12  74.86  81.72  84.12  89.71  94.82
        300  72.89  74.92  81.91  84.66  90.16  95.66
    """,
    "3": """
        100  67.834  70.244  73.832  78.435  79.948  81.632
        200  68.133  70.627  73.432  76.995  78.960  81.732
        300  67.437  71.222  74.656  78.831  79.900  83.465
        400  68.956  72.759  75.162  78.463  80.432  84.500
        500  69.327  72.351  76.822  78.822  81.300  83.651
        600  69.748  71.847  77.165  79.932  81.435  85.732
    """,
    "4": """
        50   70.32  75.11  77.14  79.92  85.13  92.33
        100  71.54  75.39  77.53  81.14  86.54  93.66
        150  73.65  75.63  78.12  82.35  88.73  94.11
        200  74.15  76.15  79.43  82.64  89.11  95.32
        250  74.83  76.84  79.11  83.72  90.43  96.54
        300  74.91  76.91  79.60  84.20  91.11  97.23
    """,
    "5": """
        50   9.321  8.362  6.732  5.680  4.839  2.162
        100  9.456  8.565  6.932  5.732  4.932  2.132
        150  9.532  8.676  7.132  5.839  4.969  3.435
        200  9.548  8.832  7.666  5.132  5.132  2.111
        250  9.652  8.965  7.932  6.399  5.322  4.732
        300  9.731  8.979  8.435  6.562  5.612  4.831
    """,
    "6": """
        50   48.632  44.981  40.132  35.500  32.635  30.132
        100  49.731  45.651  41.351  36.132  32.835  30.435
        150  49.611  46.132  41.632  37.432  33.132  31.632
        200  49.832  46.732  42.356  38.962  33.465  31.762
        250  50.652  46.832  43.731  39.432  34.652  31.785
        300  51.733  47.322  43.832  39.621  34.321  31.981
    """,
}


def _parse(text: str) -> Mapping[int, Mapping[str, str]]:
    rows = [line.split() for line in text.strip().splitlines()]
    return {int(size): dict(zip(("cnn", "rcnn", "lstm", "dbn", "rnn", "gan"), row, strict=True)) for size, *row in rows}


REPORTED: Final = {number: _parse(text) for number, text in _TABLES.items()}
"""By table, number of samples and model: as printed, digit by digit; in %, dB (table 3) and s (table 5)."""


def reported(table: str, size: int, model: str) -> str:
    """Return what the paper reports, as printed there; empty where it has nothing.

    Example:
        >>> reported("4", 300, "cnn")
        '74.91'
    """
    return REPORTED.get(table, {}).get(size, {}).get(model, "")
