"""The `finetune` stage: train the image network on single faces."""

from vidfer.cli.train import main

if __name__ == "__main__":
    main()
