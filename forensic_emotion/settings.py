"""Every option once: its default, its range and its help.

The command line builds its options from here, a case and a trained model store them, and
``docs/cli.md`` prints them, so that none of these can disagree.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from fractions import Fraction
from typing import Any

from forensic_emotion.errors import UsageError


def setting(
    default: Any,
    help: str,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A field of a settings record, with what is allowed in it."""
    limits = {"above": above, "least": least, "most": most, "choices": choices}
    return field(default=default, metadata={"help": help, **limits})


def option(name: str) -> str:
    """How the command line spells the option of that name."""
    return f"--{name.replace('_', '-')}"


class Settings:
    """The base of the settings records: checks each value against its field's range."""

    def __post_init__(self) -> None:
        for spec in fields(self):  # type: ignore[arg-type]
            wrong = _out_of_range(spec, getattr(self, spec.name))
            if wrong:
                raise UsageError(f"{option(spec.name)}: {wrong}.")

    def refuse_useless(self, given: Container[str]) -> None:
        """Refuse settings that were given, by these names, and have no effect beside the others.

        Raises:
            UsageError: with the setting that keeps them from having one.
        """


def _out_of_range(spec: Field[Any], value: Any) -> str | None:
    """What is wrong with a value, if anything."""
    limits = spec.metadata
    if value is None:  # only where that is the default
        return None
    if limits["choices"] is not None and value not in limits["choices"]:
        return f"{value!r} is not one of {', '.join(limits['choices'])}"
    # Written so that "not a number", which compares as false, is out of every range.
    if limits["above"] is not None and not value > limits["above"]:
        return f"{value} is not above {limits['above']}"
    if limits["least"] is not None and not value >= limits["least"]:
        return f"{value} is below {limits['least']}"
    if limits["most"] is not None and not value <= limits["most"]:
        return f"{value} is above {limits['most']}"
    return None


DLIB_FACE = 80
"""Side in pixels of the smallest face that dlib's detectors find, without enlarging."""


@dataclass(frozen=True)
class DetectorFacts:
    """What settings must know of a detector; ``faces.detector.load_detector`` loads it."""

    confidence: float
    """How sure it must be where nobody says it; 0.5 is a margin of 0, as in dlib's own."""
    note: str = ""
    """For the help."""
    least_confidence: float = 0.0
    """It gives nothing that it is less sure of."""
    least_long_side: int = 0
    """Longer side of a picture in which it finds next to nothing if it is smaller, in pixels."""


DETECTORS = {
    "centerface": DetectorFacts(0.4),
    "hog": DetectorFacts(0.5, "dlib, frontal faces only", least_long_side=2 * DLIB_FACE),
    "mmod": DetectorFacts(0.5, "dlib, slow", least_confidence=0.5, least_long_side=2 * DLIB_FACE),
}
"""The first is the default."""


@dataclass(frozen=True)
class ScanSettings(Settings):
    """How evidence is looked at; stored with each run."""

    sample: str = setting(
        "every",
        "Which frames of a video to analyse: one per interval (--every, --per-second), key frames"
        " only (fast: no others are decoded), where the scene changes, or all.",
        choices=("every", "keyframes", "scenes", "all"),
    )
    every: float = setting(
        1.0,
        "With --sample every: interval between frames, in seconds of presentation time.",
        above=0,
        most=86_400,
    )
    per_second: float | None = setting(
        None, "With --sample every: frames per second (instead of --every).", above=0, most=1000
    )
    detector: str = setting(
        next(iter(DETECTORS)),
        "Face detector: "
        + ", ".join(f"{name} ({of.note})" if of.note else name for name, of in DETECTORS.items())
        + ".",
        choices=tuple(DETECTORS),
    )
    smallest_face: int = setting(
        20,
        "Side in pixels of the smallest face to find, as far as the detector and --long-side allow;"
        " halving it can quadruple the time.",
        least=4,
        most=10_000,
    )
    long_side: int = setting(
        1280,
        "Before detection, pictures are scaled down so that the longer side has at most this many"
        " pixels; in larger pictures the smallest face that can be found is larger (see"
        " files.smallest_face).",
        least=64,
        most=20_000,
    )
    confidence: float | None = setting(
        None,
        "Minimum detector confidence, 0 to 1. Default: "
        + ", ".join(f"{of.confidence} for {name}" for name, of in DETECTORS.items())
        + ".",
        above=0,
        most=0.999,
    )
    model: str = setting(
        "face_resnet", "Expression model: the name of a shipped one, or a model's folder."
    )
    runtime: str = setting(
        "onnx",
        "Runtime for the model: onnx (model.onnx, the reference), or tensorflow (model.h5; needs"
        " the extra 'train').",
        choices=("onnx", "tensorflow"),
    )
    max_pixels: int = setting(
        100_000_000,
        "Refuse pictures with more pixels than this: a decompression bomb of a few bytes can claim"
        " billions.",
        least=1,
        most=1_000_000_000,
    )
    max_memory: int = setting(
        6144,
        "MiB of memory allowed for analysing a file; beyond it the file gets the state out_of_memory.",
        least=512,
        most=1 << 24,
    )
    patience: float = setting(
        60.0,
        "Seconds without a response, plus one per megabyte of the file (an hour at most), after"
        " which its analysis is stopped; it gets the state timeout.",
        least=1,
        most=86_400,
    )
    max_pages: int = setting(
        10_000,
        "Analyse at most this many pages or frames of one still-picture file (GIF, TIFF, WebP).",
        least=1,
        most=1_000_000_000,
    )

    @property
    def confidence_in_force(self) -> float:
        """How sure the detector must be, also where nobody says it."""
        return self.confidence or DETECTORS[self.detector].confidence

    @property
    def in_force(self) -> dict[str, Any]:
        """Every setting with the value that it has in effect."""
        return {**asdict(self), "confidence": self.confidence_in_force}

    def refuse_useless(self, given: Container[str]) -> None:
        if self.sample != "every":
            for name in ("every", "per_second"):
                if name in given:
                    raise UsageError(
                        f"{option(name)} has no effect with --sample {self.sample}.",
                        "Leave out one of them: it is for --sample every.",
                    )
        if "every" in given and "per_second" in given:
            raise UsageError(
                "--every and --per-second say the same thing in two ways.", "Give one of them."
            )
        facts = DETECTORS[self.detector]
        if self.confidence is not None and self.confidence < facts.least_confidence:
            raise UsageError(
                f"--confidence {self.confidence:g} has no effect on {self.detector}: it only"
                f" reports faces above {facts.least_confidence:g}.",
                f"Give {facts.least_confidence:g} or more, or --detector centerface.",
            )
        if self.smallest_face > self.long_side:
            raise UsageError(
                f"--smallest-face {self.smallest_face} is above --long-side {self.long_side}:"
                " hardly any picture has a face of that size.",
                "Give a smaller --smallest-face, or a larger --long-side.",
            )
        if self.long_side < facts.least_long_side:
            raise UsageError(
                f"--long-side {self.long_side} leaves {self.detector} next to nothing to find: it"
                f" finds no face under {facts.least_long_side // 2} pixels in a picture scaled to"
                " that.",
                f"Give a --long-side of {facts.least_long_side} or more, or --detector centerface.",
            )


@dataclass(frozen=True)
class TrainSettings(Settings):
    """How a network is trained; stored in ``model.json``.

    The defaults train the seed network plainly, as it shipped; ``docs/training.md`` has the recipe of
    the network that ships as the default, which uses the rest.
    """

    network: str = setting(
        "seed", "Which network to build.", choices=("seed", "gated_vgg", "face_resnet")
    )
    epochs: int = setting(
        24, "Passes over the part of Training used for fitting.", least=1, most=100_000
    )
    batch_size: int = setting(128, "Pictures per step.", least=1, most=65_536)
    optimizer: str = setting(
        "adam", "Optimizer; sgd uses Nesterov momentum 0.9.", choices=("adam", "sgd")
    )
    learning_rate: float = setting(
        1e-3, "Highest learning rate; falls to 0 along a cosine over all epochs.", above=0, most=1000
    )
    warmup: float = setting(
        0.0, "Epochs over which the learning rate rises to its highest value.", least=0, most=100_000
    )
    weight_decay: float = setting(
        0.0, "Weight decay of kernels; biases and normalisation have none.", least=0, most=1000
    )
    average: float = setting(
        0.0,
        "Decay per step of the moving average of the weights, which is measured and kept; 0: no"
        " averaging.",
        least=0,
        most=0.99999,
    )
    label_smoothing: float = setting(
        0.0, "Share of each label that is spread over all classes.", least=0, most=0.9
    )
    mixup: float = setting(
        0.0,
        "Blend pictures with shares from Beta(a, a) for this a; 0: no blending.",
        least=0,
        most=1000,
    )
    ferplus_weight: float = setting(
        0.5,
        "Weight of the FER+ output in the loss, relative to the classes (needs --ferplus).",
        least=0,
        most=1000,
    )
    landmark_dropout: float = setting(
        0.0, "Share of the pictures that are shown without landmarks.", least=0, most=1
    )
    rotate: float = setting(0.0, "Rotate pictures by up to this many degrees.", least=0, most=180)
    shift: float = setting(0.0, "Move pictures by up to this share of their side.", least=0, most=0.5)
    zoom: float = setting(0.0, "Scale pictures by up to this share.", least=0, most=0.5)
    light: float = setting(0.0, "Change contrast and brightness by up to this share.", least=0, most=1)
    erase: float = setting(0.0, "Share of the pictures of which one area is covered.", least=0, most=1)
    validation_share: float = setting(
        0.1,
        "Share of Training held out to choose the epoch that is kept.",
        above=0,
        most=0.5,
    )
    flip: bool = setting(True, "Mirror half of the pictures, another half in each epoch.")
    precision: str = setting(
        "float32",
        "Arithmetic of the training steps; mixed_bfloat16 is faster where the processor supports it.",
        choices=("float32", "mixed_bfloat16"),
    )
    distill_weight: float = setting(
        0.5,
        "Weight of the teachers' or votes' answer in a picture's target; the labels have the rest"
        " (needs --distill or --distill-votes).",
        least=0,
        most=1,
    )
    distill_votes: bool = setting(
        False,
        "Combine the teachers' answer with the FER+ votes on each picture; without a teacher, learn"
        " from the votes alone (needs --ferplus).",
    )
    distill_seen: bool = setting(
        False,
        "Ask the teachers about each picture as it is shown, moved, covered and blended: at each"
        " step one of them, at random. Otherwise they are asked once, about the original pictures.",
    )
    distill_looks: bool = setting(
        False,
        "Ask them, at each step, about another view of what is shown: mirrored or not, slightly"
        " smaller or larger, at random (needs --distill-seen).",
    )
    keep: str = setting(
        "best",
        "Which epoch becomes the model: the one with the highest accuracy on the held-out part, or the"
        " last.",
        choices=("best", "last"),
    )
    symmetric: bool = setting(
        False, "Make a model that averages its answers for a face and for its mirror image."
    )
    max_error: float = setting(
        0.2,
        "Highest error rate that the threshold for 'uncertain' allows among answered held-out faces.",
        above=0,
        most=1,
    )
    freeze: bool = setting(
        False, "With --init: train only the outputs and newly initialised parts; keep the rest."
    )
    normalise: bool = setting(
        False,
        "Batch normalisation after each convolution while face_resnet is trained; it is folded into"
        " the weights that are written.",
    )
    sharpness: float = setting(
        0.0,
        "Sharpness-aware minimisation: take the gradient this far up the slope of the loss; finds"
        " flat minima, takes half as long again; 0: off. Only for sgd.",
        least=0,
        most=100,
    )
    seed: int = setting(1, "Seed of every random choice in training.", least=0, most=2**32 - 1)

    def refuse_useless(self, given: Container[str]) -> None:
        for name in ("landmark_dropout", "ferplus_weight"):
            if self.network == "seed" and name in given:
                raise UsageError(
                    f"{option(name)} has no effect on --network seed, which takes landmarks as they"
                    " are and does not learn from votes.",
                    "Leave it out, or train another network.",
                )
        if self.warmup and self.warmup >= self.epochs:
            raise UsageError(
                f"--warmup {self.warmup:g} leaves none of --epochs {self.epochs} for learning.",
                "Give a shorter --warmup, or more --epochs.",
            )


def sampling_step(settings: Mapping[str, Any]) -> Fraction | None:
    """Seconds from one frame that is looked at to the next; None if the recording decides.

    Args:
        settings: a scan's, by name, as a run stores them; one of an older femo may lack some.
    """
    if settings.get("sample", "every") != "every":
        return None
    if per_second := settings.get("per_second"):
        return 1 / Fraction(str(per_second))
    return Fraction(str(settings.get("every", 1)))


@dataclass(frozen=True)
class EvaluateSettings(Settings):
    """How a model is measured; stored in ``metrics.json``."""

    split: str = setting(
        "PublicTest",
        "Split to measure on: Training, PublicTest, PrivateTest, or another by its name.",
    )
    runtime: str = setting("onnx", "Runtime for the model.", choices=("onnx", "tensorflow"))
    ten_crop: bool = setting(
        False, "Also measure the mean over ten crops: corners and centre, each with its mirror image."
    )
    robustness: bool = setting(
        True,
        "Also measure on the same faces covered, blurred, darkened, shrunk and turned (takes minutes).",
    )
    record: bool = setting(
        False, "Also write the figures into the model's own model.json, for reports to show."
    )


@dataclass(frozen=True)
class SelectionSettings(Settings):
    """Which paths and faces of a run are told of."""

    path: str | None = setting(
        None,
        "Only paths matching this pattern; * (which also matches /) and ? are wildcards."
        " Other paths are not named.",
    )
    notable: bool = setting(False, "Only files whose hash is in a list of notable hashes.")
    label: str | None = setting(None, "Only faces with this label: a class, or uncertain.")
    min_confidence: float | None = setting(
        None, "Only faces whose highest probability is at least this.", least=0, most=1
    )
    verdict: str | None = setting(
        None,
        "Only faces whose latest review is this, or that were reviewed, or not.",
        choices=("confirmed", "relabelled", "rejected", "reviewed", "unreviewed"),
    )


@dataclass(frozen=True)
class ReportSettings(SelectionSettings):
    """How a report is written."""

    max_faces: int = setting(
        100_000,
        "Show at most this many faces; the report says how many are left out.",
        least=1,
        most=1_000_000_000,
    )
    picture_budget: int = setting(
        16,
        "MiB that the pictures of faces may take in the file; faces beyond it are shown without"
        " one, and the report says how many.",
        least=0,
        most=1024,
    )
    tz: str | None = setting(
        None, "Also show times in this time zone, such as Europe/Vienna, beside UTC."
    )
    redact: bool = setting(
        False,
        "Pixelate faces, identify files by their numbers in the case, leave out locations, times,"
        " notes, names of hash lists, texts of problems and file metadata.",
    )


@dataclass(frozen=True)
class ExportSettings(SelectionSettings):
    """How a run is exported."""

    face_events: bool = setting(
        False,
        "timesketch: also an event for each face of a video, at the container's creation time plus"
        " the face's offset, where the container states the time zone; its clock is not verified.",
    )
