"""The `classify` stage: train the classifier of sound."""

from vidfer.cli.lightning import VidferCLI

if __name__ == "__main__":
    VidferCLI()
