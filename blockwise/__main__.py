"""``python -m blockwise``: the command line without a checkout."""

import sys

from blockwise.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
