"""Compiled functions that are cached: Numba looks at the age of their own file only, not at the files of what they call."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

from numba.core.caching import NullCache
from numba.core.dispatcher import Dispatcher

import bot3.learning
import bot3.trading


def kernels() -> Iterator[Any]:
    """Yield every compiled function of the rules."""
    for package in (bot3.trading, bot3.learning):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield from (value for value in vars(importlib.import_module(found.name)).values() if isinstance(value, Dispatcher))


def called_from_other_files(kernel: Any) -> list[str]:
    function = kernel.py_func
    called = [function.__globals__.get(name) for name in function.__code__.co_names]
    files = {one.py_func.__name__: one.py_func.__code__.co_filename for one in called if isinstance(one, Dispatcher)}
    return [name for name, file in files.items() if file != function.__code__.co_filename]


def test_cached_kernels_call_nothing_of_another_file_whose_change_they_would_miss() -> None:
    cached = [kernel for kernel in kernels() if not isinstance(kernel._cache, NullCache)]

    assert len(cached) > 5
    assert {kernel.py_func.__name__: missed for kernel in cached if (missed := called_from_other_files(kernel))} == {}
