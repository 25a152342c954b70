"""A model card → the figures by which the model is told to be right or wrong."""

from __future__ import annotations

from typing import Any

SPLITS = ("PrivateTest", "PublicTest")
"""Of FER2013, whose figures are told; the one that nobody looks at before the end comes first."""


def measured(card: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """The split whose figures are told, named with its data, and the figures; None if there are none.

    Others than FER2013's were recorded under the names of their folders; what the model was trained or
    calibrated on tells nothing.
    """
    metrics = card.get("metrics") or {}
    others = sorted(metrics.keys() - {*SPLITS, "Training", "validation"})
    split = next((name for name in (*SPLITS, *others) if name in metrics), None)
    if split is None:
        return "", None
    figures = metrics[split]
    trained_on = card.get("data") or {}
    same = figures.get("data_sha256") == trained_on.get("sha256")
    name = trained_on.get("name") if same else figures.get("data", "other data")
    official = name in OFFICIAL and split in SPLITS and figures["accuracy"]["n"] == OF_A_SPLIT
    return f"{FER2013 if official else name or 'other data'} {split}", figures


FER2013 = "FER2013"
OFFICIAL = ("fer2013.csv", "icml_face_data.csv", None)
"""Names under which FER2013 is published; a card of an older femo has none."""
OF_A_SPLIT = 3589
"""Pictures of each of the two splits as published: any file may be called as that is."""
