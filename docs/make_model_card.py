"""Write docs/model-card.md from the model.json of each shipped model.

usage: python docs/make_model_card.py [--check]     --check: write nothing, fail if it is not current
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.settings import ScanSettings

PAGE = Path(__file__).parent / "model-card.md"
HEAD = """\
<!-- Made by docs/make_model_card.py from the models' model.json; measure a model anew, then run it. -->

# Model card

What every shipped model is, how it was made, and what it was measured at. All figures stand in its
`model.json` too, which goes into each case, and `femo models --format json` prints them.

**Meant for** sorting faces in photographs and video by the label that such a picture has in FER2013, so
that a person looks at the right ones first. **Not meant for** findings about what anyone felt, intended
or experienced, nor for deciding about a person: people show the same feeling differently and different
feelings alike (Barrett et al. 2019, doi 10.1177/1529100619832930).

**Known limits.** FER2013's label of a picture is the keyword by which a search engine returned it,
mapped to one of seven classes; people threw out pictures that did not fit (Goodfellow et al. 2013). It
is neither what anyone felt nor a vote of several people, and it is noisy: where ten FER+ taggers have a
majority on an expression, FER2013's label is that one for 66.8 % of PublicTest (n = 3,199). Who is in
the pictures by age, sex and skin colour was not recorded, so error rates by group are not known. All
figures are of ready-cut 48×48 pictures; on faces that a detector cuts out of other material they were
not measured. **They hold for FER2013's mix of classes** (a quarter happy, a sixth neutral): where most
faces are neutral, answers of a rarer class are wrong more often (with 85 % neutral faces, about two of
three answers sad); the confusion matrix of the answered pictures lets anybody work that out. Frames of
one person are no independent observations: what is wrong in one frame is likely to be wrong in the
next. Intervals are Wilson's, 95 %. PublicTest was measured about twenty times ([log.md](log.md)): for
each generation of the shipped model, for some of them twice, and for some models that did not ship. One
generation was preferred to the one before it because its answers kept to the stated error there, and
training went on because an accuracy that was aimed at was not reached there. Of the four that were
measured last, 70.6 to 70.9 % right, the one that did best ships, so that a part of its lead is chance.
So it is less unseen than its name says, and the intervals do not account for that. PrivateTest was
never looked at.

**The data.** The `fer2013.csv` that the models were trained and measured on is not byte for byte the
one that was published, so its SHA-256 is another: it holds Training and PublicTest, 32,298 pictures,
and no PrivateTest; the pixels of 158 of them (10 of PublicTest) come from a JPEG copy; about 10 labels
of Training may differ. Training pictures that stand in PrivateTest too were therefore fitted. Only
pixel-identical copies were left out of what was fitted: of the 3,309 pictures of PublicTest without
one, 95 correlate above 0.95 with a fitted picture, 15 above 0.99, mostly the same photograph moved or
scaled. "Drawn fingers" are four grey bars across the picture; what a hand does was not measured.
"""


def share(interval: dict[str, Any] | None) -> str:
    if interval is None:
        return "none"
    return "{value:.2%} ({low:.2%} to {high:.2%}, n={n})".format(**interval)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def card(model: ModelCard) -> Iterator[str]:
    facts = model.facts
    name = model.name + (" (default)" if model.name == ScanSettings.model else "")
    yield f"\n## {name}\n"
    yield f"Network `{facts['network']}`, {facts['parameters']:,} parameters. Classes:"
    yield f"{', '.join(facts['labels'])}."
    for paragraph in model.licence().splitlines():
        yield f"\n{paragraph}"
    onnx = facts["files"]["model.onnx"]
    yield from table(
        ("", ""),
        [
            ("`model.onnx`", f"{onnx['size']:,} bytes, SHA-256 `{onnx['sha256']}`"),
            ("trained on", f"`{facts['data']['name']}`, SHA-256 `{facts['data']['sha256']}`"),
            (
                "pictures",
                f"{facts['data']['fit']:,} fitted, {facts['data']['validation']:,} held out of Training"
                f" to choose by, {facts['data']['left_out']} left out as they stand in a test split too",
            ),
            *made(facts),
            ("command", f"`{facts['command']}`" if facts.get("command") else "see training.md"),
            ("commit", f"`{facts['commit']}`" if facts.get("commit") else "not recorded"),
        ],
    )
    calibration, abstention = facts["calibration"], facts["abstention"]
    yield (
        f"Calibrated on the {calibration['n']:,} held-out pictures by temperature"
        f" {calibration['temperature']:.3f}{matrix(calibration)}{before(facts)}"
        f" (loss {calibration['loss_before']:.4f} before, {calibration['loss_after']:.4f} after; ECE"
        f" of the highest score {calibration['ece_before']:.4f} before,"
        f" {calibration['ece_after']:.4f} after, some of it by chance alone)."
        f" Answers above {abstention['threshold']:.4f}, else `uncertain`: on the held-out pictures it"
        f" answers {abstention['coverage']:.1%}, wrong among them"
        f" {share(abstention['error'])}. The threshold was chosen so that this interval ends under"
        f" {abstention['max_error']:.0%}; what it comes to on other pictures stands below."
    )
    for split, figures in facts["metrics"].items():
        if split != "validation":
            yield from measured(split, figures)


def matrix(calibration: dict[str, Any]) -> str:
    """What corrects the classes, where something does; the figures after it are cross-fitted then."""
    if calibration.get("ridge") is None:
        return ""
    return (
        f" and a matrix of classes by classes (ridge {calibration['ridge']:g}; what these pictures tell"
        " of it is cross-fitted)"
    )


def before(facts: dict[str, Any]) -> str:
    """What corrects the scores before those held-out pictures do, where something does."""
    first = facts.get("calibrated_before")
    if not first or first["ridge"] is None:  # of two temperatures the last decides
        return ""
    return (
        f", behind a matrix (ridge {first['ridge']:g}) fitted to {first['n']:,} more that only some"
        " members held out, scored by these"
    )


def made(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Where the weights come from: of a merged model, those of each member."""
    for number, member in enumerate(facts.get("members", []), 1):
        yield f"member {number}", f"`{member['network']}`, {member['parameters']:,} parameters"
        yield f"{number}: command", f"`{member['command']}`, commit `{member['commit']}`"
        for what, text in made(member):
            yield f"{number}: {what}", text
    if "members" not in facts:
        init = facts.get("init")
        yield (
            "started from",
            f"`{init['name']}`, SHA-256 `{init['sha256']}`" if init else "random weights",
        )
        for teacher in facts.get("teachers") or ():
            yield "learnt from", f"`{teacher['name']}`, SHA-256 `{teacher['sha256']}`"
        yield "epoch kept", f"{facts['epoch']} of {facts['settings']['epochs']}"


def measured(split: str, figures: dict[str, Any]) -> Iterator[str]:
    yield f"\n### On {split}"
    parts = [
        ("whole split", figures),
        ("without pictures that stand pixel for pixel in Training too", figures["without_twins"]),
    ]
    yield from table(
        ("", "accuracy", "macro-F1", "ECE", "NLL", "Brier"),
        [
            (
                title,
                share(f["accuracy"]),
                *(f"{f[key]:.4f}" for key in ("macro_f1", "ece", "loss", "brier")),
            )
            for title, f in parts
            if f
        ],
    )
    answered = figures["answered"]
    rows = [
        (f"answered, above {answered['threshold']:.4f}", share(answered["coverage"])),
        ("wrong among the answered", share(answered["error"])),
        *(
            (f"accuracy of the surest {float(c):.0%}", share(a))
            for c, a in figures["at_coverage"].items()
        ),
        *((f"accuracy with {name}", share(a)) for name, a in figures["ablation"].items()),
    ]
    if figures.get("ferplus_majority"):
        of_second = share(figures["ferplus_majority"])
        rows.append(("FER+ majority met by the second output, which scans do not use", of_second))
    if figures.get("ferplus_majority_of_output"):
        of_first = share(figures["ferplus_majority_of_output"])
        rows.append(("FER+ majority met by the output whose scores scans store", of_first))
    if figures.get("ten_crop"):
        rows.append(("accuracy over ten crops", share(figures["ten_crop"])))
    yield from table(("", ""), rows)
    yield "The same pictures degraded, with intervals of pairs for what is lost:"
    yield from table(
        ("", "accuracy", "points lost", "answered", "wrong among the answered"),
        [
            (
                name,
                percent(each["value"]),
                "{:.1f} ({:.1f} to {:.1f})".format(
                    *(100 * each["lost"][k] for k in ("value", "low", "high"))
                ),
                percent(each["answered"]["coverage"]["value"]),
                share(each["answered"]["error"]),
            )
            for name, each in figures["robustness"].items()
        ],
    )
    yield "By class, of all pictures and of those that are answered:"
    yield from table(
        ("class", "pictures", "answers", "precision", "recall", "wrong among the answered"),
        [
            (
                c["label"],
                str(c["n"]),
                str(c["answered"]),
                percent(c["precision"]),
                percent(c["recall"]),
                share(sure["wrong"]),
            )
            for c, sure in zip(figures["classes"], answered["classes"], strict=True)
        ],
    )
    labels = [c["label"] for c in figures["classes"]]
    for title, confusion in (
        ("Confusion matrix; rows are the labels of the data:", figures["confusion"]),
        ("Of the answered pictures alone:", answered["confusion"]),
    ):
        yield title
        yield from table(
            ("", *labels),
            [(label, *map(str, row)) for label, row in zip(labels, confusion, strict=True)],
        )
    yield "How often the highest score was right:"
    yield from table(
        ("score", "mean score", "right"),
        [
            (f"{b['low']:.1f} to {b['high']:.1f}", f"{b['confidence']:.3f}", share(b["right"]))
            for b in figures["reliability"]
        ],
    )


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def page() -> str:
    models = sorted(ModelCard.shipped(), key=lambda m: m.name != ScanSettings.model)
    return HEAD + "\n".join(line for model in models for line in card(model)).rstrip() + "\n"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        sys.exit(f"{PAGE} is not current: run python docs/make_model_card.py")
