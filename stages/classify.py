"""The `classify` stage: train a classifier of clips."""

import sys

from vidfer.cli.train import main

if __name__ == "__main__":
    sys.exit(main("classify"))
