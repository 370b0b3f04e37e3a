"""One lock for every Python that is supported: each requirement, of ours and of what is locked, is met on each of them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MINORS = ("3.11", "3.12", "3.13")
PYTHONS = ("3.11.0", "3.11.14", "3.12.0", "3.12.12", "3.13.0", "3.13.9")
"""First and late releases of each: markers name releases too."""
EXTRAS = {"requirements.lock": ("dev", "build", "workers"), "requirements-run.lock": ("build", "workers")}


def environment_of(python: str) -> Environment:
    return {**default_environment(), "python_version": python.rpartition(".")[0], "python_full_version": python}  # type: ignore[typeddict-item,return-value,unused-ignore]


def locked(text: str, *, python: str) -> dict[str, str]:
    """Return the version of each distribution that a lock installs on a Python of this platform."""
    requirements = [Requirement(line) for line in re.findall(r"^(\S[^#\n]*?) \\$", text, flags=re.MULTILINE)]
    chosen = [one for one in requirements if one.marker is None or one.marker.evaluate(environment_of(python))]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in chosen}


@dataclass(frozen=True)
class Installed:
    """What the running environment knows of a distribution."""

    version: str
    requires_python: SpecifierSet
    requirements: tuple[Requirement, ...]


@cache
def installed_distribution(name: str) -> Installed | None:
    try:
        found = distribution(name)
    except PackageNotFoundError:  # one of another platform, or of another Python
        return None
    pythons = SpecifierSet(found.metadata.get("Requires-Python") or "")
    return Installed(found.version, pythons, tuple(map(Requirement, found.requires or ())))


def requirements_of(name: str, version: str, *, extras: frozenset[str], python: str) -> Iterator[Requirement]:
    """Yield what a distribution requires; nothing where another version than the locked one is installed here."""
    installed = installed_distribution(name)
    if installed is None or installed.version != version:
        return
    environments = [{**environment_of(python), "extra": extra} for extra in ("", *extras)]
    for requirement in installed.requirements:
        if requirement.marker is None or any(requirement.marker.evaluate(environment) for environment in environments):
            yield requirement


def unmet(text: str, *, extras: tuple[str, ...], python: str) -> list[str]:
    """Return what a lock does not install, or in a version that was not asked for, on a Python."""
    versions = locked(text, python=python)
    ours = [*PROJECT["dependencies"], *(one for extra in extras for one in PROJECT["optional-dependencies"][extra])]
    waiting, seen, found = [("bot3", Requirement(one)) for one in ours], set(), []
    while waiting:
        wanted_by, requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        version = versions.get(name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{wanted_by} needs {requirement}, the lock has {version}")
            continue
        key = (name, frozenset(requirement.extras))
        if key not in seen:
            seen.add(key)
            waiting += [(name, one) for one in requirements_of(name, version, extras=key[1], python=python)]
    return found


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", EXTRAS)
def test_lock_given_a_supported_python_then_meets_every_requirement(name: str, python: str) -> None:
    assert unmet((ROOT / name).read_text(encoding="utf-8"), extras=EXTRAS[name], python=python) == []


def test_lock_given_a_marker_that_leaves_a_python_out_then_says_what_is_missing_there() -> None:
    text = re.sub(r"^(numpy==\S+)", r"\1 ; python_full_version < '3.13'", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)

    missing = {python: unmet(text, extras=EXTRAS["requirements.lock"], python=python) for python in PYTHONS}

    assert [python for python, found in missing.items() if found] == ["3.13.0", "3.13.9"]
    assert any("bot3 needs numpy" in one for one in missing["3.13.0"])


@pytest.mark.parametrize("python", PYTHONS)
def test_lock_given_a_supported_python_then_each_distribution_allows_it(python: str) -> None:
    versions = locked((ROOT / "requirements.lock").read_text(encoding="utf-8"), python=python)
    installed = {name: installed_distribution(name) for name in versions}

    assert [name for name, one in installed.items() if one is not None and not one.requires_python.contains(python)] == []


def test_project_given_its_versions_then_names_these_and_no_other() -> None:
    named = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", one)]
    supported = SpecifierSet(PROJECT["requires-python"])

    assert tuple(named) == MINORS
    assert [f"3.{minor}" for minor in range(9, 16) if supported.contains(f"3.{minor}.1")] == list(MINORS)
