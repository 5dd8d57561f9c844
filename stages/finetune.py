"""The `finetune` stage: train the image network on single faces."""

from vidfer.cli.lightning import VidferCLI

if __name__ == "__main__":
    VidferCLI()
