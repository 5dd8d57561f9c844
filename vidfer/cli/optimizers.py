"""`vidfer optimizers`: the paper's optimisers on surfaces with known minima and on one classifier."""

import sys

from vidfer.paper.optimizers import OptimizerOptions, compare_optimizers
from vidfer.pipeline.atomic import results_folder


def run(options: OptimizerOptions) -> int:
    """Compare the optimisers and print the tables."""
    with results_folder(options.out):
        for text in compare_optimizers(options, notify=lambda line: print(line, file=sys.stderr, flush=True)):
            print(text)
    print(f"tables and plots: {options.out}", file=sys.stderr)
    return 0
