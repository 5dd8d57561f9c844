"""`python -m vidfer`: the same as the command `vidfer`."""

import sys

from vidfer.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
