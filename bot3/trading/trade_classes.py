"""Classes of the trades of a pair and direction, by which learning groups them: a leverage bin at a horizon.

The label of a class at 24 h is the bin's name ("2.0-3.5", "*" for all bins); at another horizon it is followed by "@" and the horizon
("2.0-3.5@7d", "*@7d"). A reader that looks up a bin therefore finds the rows of trades of 24 h.
"""

from __future__ import annotations

from bot3.trading.horizons import Horizon

_SEPARATOR = "@"


def class_label(leverage_bin: str, horizon: Horizon) -> str:
    """Return the label of a bin ("*" for all) at a horizon."""
    return leverage_bin if horizon is Horizon.DAY else f"{leverage_bin}{_SEPARATOR}{horizon}"


def class_parts(label: str) -> tuple[str, Horizon]:
    """Return the bin ("*" for all) and the horizon of a label. Raises ValueError if the text after "@" is no horizon other than 24 h."""
    leverage_bin, separator, name = label.partition(_SEPARATOR)
    horizon = Horizon(name) if separator else Horizon.DAY
    if class_label(leverage_bin, horizon) != label:
        raise ValueError(f"the label {label!r} of a class of trades must not name the horizon {name}")
    return leverage_bin, horizon


def bin_of(label: str) -> str:
    """Return the bin of a label ("*" for all). Raises ValueError as `class_parts`."""
    return class_parts(label)[0]


def horizon_of(label: str) -> Horizon:
    """Return the horizon of a label. Raises ValueError as `class_parts`."""
    return class_parts(label)[1]
