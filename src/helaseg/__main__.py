"""``python -m helaseg`` is the command ``helaseg``."""

import sys

from helaseg.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
