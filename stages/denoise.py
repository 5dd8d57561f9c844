"""The `denoise` stage: train the generator."""

import sys

from vidfer.cli.train import main

if __name__ == "__main__":
    sys.exit(main("denoise"))
