"""The `bot3` command line, one command group per file."""

import os

# Set before numpy is imported: the matrices used in learning are small, and additional threads only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
