"""Hits among n → their share with its 95 % interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z95 = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True)
class Interval:
    """A share with its 95 % confidence interval."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.4f} (95% {self.low:.4f}-{self.high:.4f}, n={self.n})"


def wilson(hits: int, n: int) -> Interval:
    """The share ``hits / n`` with its Wilson score interval (Wilson 1927).

    Raises:
        ValueError: there is nothing to take a share of.
    """
    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"expected 0 <= hits <= n and n > 0, got {hits} of {n}")
    share = hits / n
    scale = 1 + Z95**2 / n
    centre = (share + Z95**2 / (2 * n)) / scale
    reach = Z95 / scale * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    # At the ends rounding would leave the bound a little on the wrong side of the share.
    low = 0.0 if hits == 0 else centre - reach
    high = 1.0 if hits == n else centre + reach
    return Interval(share, low, high, n)
