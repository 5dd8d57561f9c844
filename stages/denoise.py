"""The `denoise` stage: train the generator."""

from vidfer.cli.train import main

if __name__ == "__main__":
    main()
