"""The `denoise` stage: train the generator."""

from vidfer.cli.lightning import VidferCLI

if __name__ == "__main__":
    VidferCLI()
