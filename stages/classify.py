"""The `classify` stage: train the classifier of sound."""

from vidfer.cli.train import main

if __name__ == "__main__":
    main()
