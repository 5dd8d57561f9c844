"""The `finetune` stage: train the image network on single faces."""

import sys

from vidfer.cli.train import main

if __name__ == "__main__":
    sys.exit(main("finetune"))
