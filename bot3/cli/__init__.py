"""The `bot3` command, one command group a file."""

import os

# Before numpy is imported: the matrices of learning are small, and more threads only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
