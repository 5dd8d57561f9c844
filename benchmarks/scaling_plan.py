"""What many hours of video would cost: see bench/estimate_main.py, and docs/scaling.md."""

import sys

from bench.estimate_main import main

if __name__ == "__main__":
    sys.exit(main())
