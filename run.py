"""``python run.py --device stm32``: train globally and block by block, and count every byte."""

import sys

from blockwise.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
