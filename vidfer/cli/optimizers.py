"""`vidfer optimizers`: the paper's optimisers on surfaces with known minima and on one classifier."""

from vidfer.cli.display import say
from vidfer.cli.put import put
from vidfer.paper.optimizers import OptimizerOptions, compare_optimizers
from vidfer.pipeline.atomic import results_folder


def run(options: OptimizerOptions) -> int:
    """Compare the optimisers and print the tables."""
    with results_folder(options.out):
        for text in compare_optimizers(options, notify=say):
            put(text)
    say(f"tables and plots: {options.out}")
    return 0
