"""python -m enrichlabs.server: runs the whole service on one machine, as script/server does."""

import sys

from enrichlabs.standalone.server import main

if __name__ == "__main__":
    sys.exit(main())
