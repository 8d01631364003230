"""`python -m asv_benchmarks.figures`, from the root of the project."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
