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
        return f"{value!r} is none of {', '.join(limits['choices'])}"
    # Written so that "not a number", which compares as false, is out of every range.
    if limits["above"] is not None and not value > limits["above"]:
        return f"{value} is not above {limits['above']}"
    if limits["least"] is not None and not value >= limits["least"]:
        return f"{value} is below {limits['least']}"
    if limits["most"] is not None and not value <= limits["most"]:
        return f"{value} is over {limits['most']}"
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
        "Which frames of a video to look at: one in every so many seconds (--every, --per-second),"
        " key frames only (quick: no others are decoded), where the scene changes, or all.",
        choices=("every", "keyframes", "scenes", "all"),
    )
    every: float = setting(
        1.0,
        "With --sample every: one frame every so many seconds of presentation time.",
        above=0,
        most=86_400,
    )
    per_second: float | None = setting(
        None, "With --sample every: so many frames a second (instead of --every).", above=0, most=1000
    )
    detector: str = setting(
        next(iter(DETECTORS)),
        "What finds faces: "
        + ", ".join(f"{name} ({of.note})" if of.note else name for name, of in DETECTORS.items())
        + ".",
        choices=tuple(DETECTORS),
    )
    smallest_face: int = setting(
        20,
        "Side in pixels of the smallest face to find, where the detector can and --long-side lets it;"
        " halving it can quadruple the time.",
        least=4,
        most=10_000,
    )
    long_side: int = setting(
        1280,
        "Before detection, pictures are reduced so that the longer side has at most this many pixels; in"
        " larger ones the smallest face that is found grows (files.smallest_face says to what).",
        least=64,
        most=20_000,
    )
    confidence: float | None = setting(
        None,
        "How sure the detector must be, 0 to 1. Default: "
        + ", ".join(f"{of.confidence} for {name}" for name, of in DETECTORS.items())
        + ".",
        above=0,
        most=0.999,
    )
    model: str = setting("face_resnet", "Expression model: the name of a shipped one, or its folder.")
    runtime: str = setting(
        "onnx",
        "What computes the model: onnx (model.onnx, the reference), or tensorflow (model.h5; needs"
        " the extra 'train').",
        choices=("onnx", "tensorflow"),
    )
    max_pixels: int = setting(
        100_000_000,
        "Refuse pictures with more pixels than this: a decompression bomb of a few bytes can name"
        " billions.",
        least=1,
        most=1_000_000_000,
    )
    max_memory: int = setting(
        6144,
        "MiB of memory that the work on a file may take; more gives the state out_of_memory.",
        least=512,
        most=1 << 24,
    )
    patience: float = setting(
        60.0,
        "Seconds without a sign of life, and one more for each megabyte of the file (an hour at most),"
        " after which the work on it is ended; it gets the state timeout.",
        least=1,
        most=86_400,
    )
    max_pages: int = setting(
        10_000,
        "Look at no more pages or frames of one still-picture file (GIF, TIFF, WebP) than this.",
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
                        f"{option(name)} has no effect on --sample {self.sample}.",
                        "Leave one of them out: it is for --sample every.",
                    )
        if "every" in given and "per_second" in given:
            raise UsageError(
                "--every and --per-second say the same thing in two ways.", "Give one of them."
            )
        facts = DETECTORS[self.detector]
        if self.confidence is not None and self.confidence < facts.least_confidence:
            raise UsageError(
                f"--confidence {self.confidence:g} has no effect on {self.detector}: it gives what it is"
                f" surer of than {facts.least_confidence:g} only.",
                f"Give {facts.least_confidence:g} or more, or --detector centerface.",
            )
        if self.smallest_face > self.long_side:
            raise UsageError(
                f"--smallest-face {self.smallest_face} is over --long-side {self.long_side}: hardly any"
                " picture has a face of that size.",
                "Give a smaller --smallest-face, or a larger --long-side.",
            )
        if self.long_side < facts.least_long_side:
            raise UsageError(
                f"--long-side {self.long_side} leaves {self.detector} next to nothing to find: no face"
                f" under {facts.least_long_side // 2} pixels, after a picture was scaled to that.",
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
    epochs: int = setting(24, "Passes over the fitted part of Training.", least=1, most=100_000)
    batch_size: int = setting(128, "Pictures in one step.", least=1, most=65_536)
    optimizer: str = setting(
        "adam", "How steps are made; sgd has Nesterov momentum 0.9.", choices=("adam", "sgd")
    )
    learning_rate: float = setting(
        1e-3, "Highest learning rate; falls to 0 along a cosine over all epochs.", above=0, most=1000
    )
    warmup: float = setting(
        0.0, "Epochs over which the learning rate rises to it.", least=0, most=100_000
    )
    weight_decay: float = setting(
        0.0, "Pull of kernels towards 0; biases and normalisation have none.", least=0, most=1000
    )
    average: float = setting(
        0.0,
        "Moving average of the weights, per step, that is measured and kept; 0 keeps them as they are.",
        least=0,
        most=0.99999,
    )
    label_smoothing: float = setting(
        0.0, "Part of each label that is spread over all classes.", least=0, most=0.9
    )
    mixup: float = setting(
        0.0,
        "Blend pictures by shares from Beta(a, a) with this a; 0 does not blend.",
        least=0,
        most=1000,
    )
    ferplus_weight: float = setting(
        0.5,
        "What the FER+ output counts in the loss beside the classes (needs --ferplus).",
        least=0,
        most=1000,
    )
    landmark_dropout: float = setting(
        0.0, "Part of the pictures that are shown without landmarks.", least=0, most=1
    )
    rotate: float = setting(0.0, "Turn pictures by up to so many degrees.", least=0, most=180)
    shift: float = setting(0.0, "Move pictures by up to this share of their side.", least=0, most=0.5)
    zoom: float = setting(0.0, "Scale pictures by up to this share.", least=0, most=0.5)
    light: float = setting(0.0, "Change contrast and brightness by up to this share.", least=0, most=1)
    erase: float = setting(0.0, "Part of the pictures that are covered in one place.", least=0, most=1)
    validation_share: float = setting(
        0.1,
        "Part of Training held out to choose the epoch that is kept.",
        above=0,
        most=0.5,
    )
    flip: bool = setting(True, "Mirror half of the pictures, another half in each epoch.")
    precision: str = setting(
        "float32",
        "Arithmetic of the training steps; mixed_bfloat16 is quicker where the processor has it.",
        choices=("float32", "mixed_bfloat16"),
    )
    distill_weight: float = setting(
        0.5,
        "What the answer of teachers or votes counts in a picture's target, the labels counting the rest"
        " (needs --distill or --distill-votes).",
        least=0,
        most=1,
    )
    distill_votes: bool = setting(
        False,
        "Join the teachers' answer with the FER+ votes on each picture before it is learnt from; without"
        " a teacher learn from the votes alone (needs --ferplus).",
    )
    distill_seen: bool = setting(
        False,
        "Ask the teachers about each picture as it is shown, moved, hidden and blended: at each step one"
        " of them, by chance. Without it they are asked once, about the pictures as they are.",
    )
    distill_looks: bool = setting(
        False,
        "Ask them, at each step, about another look at what is shown: mirrored or not, a little smaller"
        " or larger, by chance (needs --distill-seen).",
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
        False, "With --init: train only the outputs and what starts anew, keep the rest."
    )
    normalise: bool = setting(
        False,
        "Batch normalisation behind each convolution while face_resnet is trained; it folds into the"
        " weights that are written.",
    )
    sharpness: float = setting(
        0.0,
        "Learn from the gradient so far up the slope of the loss: finds flat minima, takes half as long"
        " again; 0 does not. Only for sgd.",
        least=0,
        most=100,
    )
    seed: int = setting(1, "Of every random choice in training.", least=0, most=2**32 - 1)

    def refuse_useless(self, given: Container[str]) -> None:
        for name in ("landmark_dropout", "ferplus_weight"):
            if self.network == "seed" and name in given:
                raise UsageError(
                    f"{option(name)} has no effect on --network seed, which takes landmarks"
                    " as they are and learns from no votes.",
                    "Leave it out, or train another network.",
                )
        if self.warmup and self.warmup >= self.epochs:
            raise UsageError(
                f"--warmup {self.warmup:g} leaves nothing of --epochs {self.epochs} to learn in.",
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
        "Which part of the data to measure on: Training, PublicTest, PrivateTest, or what it is called.",
    )
    runtime: str = setting("onnx", "What computes the model.", choices=("onnx", "tensorflow"))
    ten_crop: bool = setting(
        False, "Measure the mean over ten crops too: corners and middle, each with its mirror image."
    )
    robustness: bool = setting(
        True, "Measure on the same faces hidden, blurred, darkened, shrunk and turned too (minutes)."
    )
    record: bool = setting(
        False, "Write the figures into the model's own model.json too, for reports to show."
    )


@dataclass(frozen=True)
class SelectionSettings(Settings):
    """Which paths and faces of a run are told of."""

    path: str | None = setting(
        None,
        "Only paths matching this pattern; * (which also matches /) and ? are wildcards."
        " Other paths are not named.",
    )
    notable: bool = setting(False, "Only files that a list of notable hashes has.")
    label: str | None = setting(None, "Only faces with this label: a class, or uncertain.")
    min_confidence: float | None = setting(
        None, "Only faces whose highest probability is at least this.", least=0, most=1
    )
    verdict: str | None = setting(
        None,
        "Only faces of which a person said this last, or that were reviewed, or were not.",
        choices=("confirmed", "relabelled", "rejected", "reviewed", "unreviewed"),
    )


@dataclass(frozen=True)
class ReportSettings(SelectionSettings):
    """How a report is written."""

    max_faces: int = setting(
        100_000,
        "Show no more faces than this; the report says how many are left out.",
        least=1,
        most=1_000_000_000,
    )
    picture_budget: int = setting(
        16,
        "MiB that the pictures of faces may take in the file; faces beyond it stand without one, and the"
        " report says how many.",
        least=0,
        most=1024,
    )
    tz: str | None = setting(
        None, "Show times in this time zone too, as Europe/Vienna; UTC stays beside them."
    )
    redact: bool = setting(
        False,
        "Pixelate faces, name files by their numbers in the case, leave out places, times, notes,"
        " names of hash lists, the words of problems and what files say of themselves.",
    )


@dataclass(frozen=True)
class ExportSettings(SelectionSettings):
    """How a run is exported."""

    face_events: bool = setting(
        False,
        "timesketch: an event for each face of a video too, at the container's creation time plus the"
        " face's offset, where the container tells the zone of that time; its clock is not verified.",
    )
