"""`python -m fastmlp` is the command `fastmlp`."""

import sys

from fastmlp.cli.main import main

sys.exit(main())
