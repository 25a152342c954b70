"""Labelled faces → what a data set holds, and what is wrong with it: ``femo data``."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from forensic_emotion.training.sources import LABELS, SPLITS, Labelled, digests

BLANK = 3.0
"""Grey values: a picture whose standard deviation is below shows nothing."""


@dataclass(frozen=True)
class Census:
    """What a data set holds."""

    sha256: str
    pictures: int
    counts: dict[str, dict[str, int]]
    """Split → class → pictures."""
    duplicate_groups: int
    """Groups of pixel-identical pictures, over all splits."""
    duplicates: dict[str, int]
    """Split → pictures that have a twin in the same split."""
    leaks: dict[str, int]
    """``"PublicTest in Training"`` → pictures of the first split that have a twin in the second."""
    contradicting: int
    """Groups of pixel-identical pictures that carry more than one label."""
    blank: int
    """Pictures that show next to nothing."""


def take_census(labelled: Labelled) -> Census:
    """Count pictures, twins, contradictions and blanks."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i, digest in enumerate(digests(labelled.grey).tolist()):
        groups[digest].append(i)
    twins = [np.array(members) for members in groups.values() if len(members) > 1]
    there = set(labelled.usage.tolist())
    splits = [s for s in SPLITS if s in there] + sorted(there - set(SPLITS))
    duplicates = dict.fromkeys(splits, 0)
    leaks = {f"{a} in {b}": 0 for a in splits for b in splits if a != b}
    for members in twins:
        usage = labelled.usage[members]
        for split in np.unique(usage):
            own = int((usage == split).sum())
            duplicates[str(split)] += own if own > 1 else 0
            for other in np.unique(usage[usage != split]):
                leaks[f"{split} in {other}"] += own
    return Census(
        sha256=labelled.sha256,
        pictures=len(labelled.labels),
        counts={
            split: {
                name: int(((labelled.usage == split) & (labelled.labels == label)).sum())
                for label, name in enumerate(LABELS)
            }
            for split in splits
        },
        duplicate_groups=len(twins),
        duplicates=duplicates,
        leaks=leaks,
        contradicting=sum(len(np.unique(labelled.labels[members])) > 1 for members in twins),
        blank=int((labelled.grey.std(axis=(1, 2)) < BLANK).sum()),
    )
