"""``femo train``: data → a trained model in a folder. Reads from top to bottom in the order of events.

A checkpoint is written after each epoch; a run that was killed goes on from it (``--resume``) and
ends as one that was not killed, for every random choice of an epoch comes from the seed and the
epoch's number alone.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.progress import Progress

from forensic_emotion import chips
from forensic_emotion.chips import Inputs, mirror
from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.emotions.classifier import Classifier, Probabilities
from forensic_emotion.emotions.layers import resampling
from forensic_emotion.errors import FemoError, ModelError, UsageError
from forensic_emotion.hashes import file_sha256
from forensic_emotion.paths import refuse_inside
from forensic_emotion.settings import TrainSettings
from forensic_emotion.training import data
from forensic_emotion.training.augment import Batch, augment, mix, smooth
from forensic_emotion.training.calibrate import calibrate, told_of
from forensic_emotion.training.checkpoint import Checkpoint, Epoch, Weights, best
from forensic_emotion.training.export import trained_with, write_model
from forensic_emotion.training.metrics import measure
from forensic_emotion.training.network import NETWORKS, symmetric
from forensic_emotion.training.normalise import check_has_none, fold, normalised
from forensic_emotion.training.pictures import draw_curves
from forensic_emotion.training.processor import computes_bfloat16
from forensic_emotion.training.provenance import command_line, commit, trained
from forensic_emotion.training.scoring import score_with
from forensic_emotion.training.sources import LABELS
from forensic_emotion.training.steps import Climber, compile_with, outputs_of, step_on
from forensic_emotion.training.teachers import informed_by_votes, load_teachers, mean_answers
from forensic_emotion.training.warm_start import check_held_out, find_start, start_from

AVERAGE_EVERY = 8
"""Steps between two updates of the moving average, which copies all weights."""
FACES_TO_NORMALISE_BY = 256
"""Whose statistics ``--normalise`` starts from."""


def train(
    source: Path,
    out: Path,
    settings: TrainSettings,
    *,
    ferplus: Path | None = None,
    init: Path | None = None,
    distill: Sequence[Path] = (),
    resume: bool,
    console: Console,
    progress: Progress,
) -> Path:
    """Train a network and write model, history and curves.

    Args:
        source: CSV or folder; see ``sources.read_labelled``.
        out: folder to write to; it may hold no model yet, unless ``resume``.
        settings: see ``TrainSettings``.
        ferplus: the FER+ votes of the same pictures, for a network with that output.
        init: whose weights are the start; see ``warm_start.start_from``.
        distill: folders of trained models whose mean answer is learnt from beside the labels.
        resume: go on from the checkpoint in ``out``.
        console: gets one line an epoch.
        progress: shows how far landmarks and steps are.

    Returns:
        The folder.

    Raises:
        DataError: the data cannot be read.
        ModelError: ``init`` is of another architecture, a teacher cannot be used, or the loss becomes
            infinite.
        UsageError: ``out`` is in use, or the checkpoint there belongs to another run.
        FemoError: the model cannot be written; the last good checkpoint stays.
    """
    _refuse_what_does_nothing(settings, ferplus, init, distill)
    with closing(Checkpoint(out / "checkpoint")) as checkpoint, _computing_in(settings.precision):
        if resume:
            checkpoint.refuse_missing()
        else:
            checkpoint.refuse_used()
        if source.is_dir():
            refuse_inside(source, out, "model")

        started_by = commit()

        # ---- data -----------------------------------------------------------------------------------
        # What is to be started from or asked is looked for first: landmarks take minutes.
        init = find_start(init) if init else None
        init_sha256 = _sha256_of_model(init) if init else None
        for folder in distill:
            ModelCard.find(folder)
        pictures = data.read(source, ferplus, lambda p: progress.track(p, description="landmarks"))
        split = data.split_training(pictures, settings.validation_share)
        validation_inputs = split.validation.inputs()
        teachers = load_teachers(distill, pictures.sha256, settings.validation_share)
        certain = init is None or check_held_out(init, pictures.sha256, settings.validation_share)
        if not certain:
            console.print(
                f"{init}, or what it was made from, was not trained on {source}, or does not say on"
                " what: if it was fitted to pictures that are held out here, everything measured on them"
                " will look too good"
            )
        identity: dict[str, object] = {
            "settings": asdict(settings),
            "data_sha256": pictures.sha256,
            "ferplus_sha256": file_sha256(ferplus) if ferplus else None,
            "init_sha256": init_sha256,
            "teachers": [{"name": t.card.name, "sha256": t.weights_sha256} for t in teachers],
        }
        console.print(
            f"{len(split.fit)} pictures to fit, {len(split.validation)} to choose the epoch,"
            f" {split.left_out} left out because they are in a test split"
        )

        if settings.precision == "mixed_bfloat16" and computes_bfloat16() is False:
            console.print(
                "This processor has no instructions for bfloat16: unless a GPU is used, --precision"
                " float32 is faster"
            )

        # ---- model, new or from the checkpoint ------------------------------------------------------
        steps = -(-len(split.fit) // settings.batch_size)
        keras.utils.set_random_seed(settings.seed)
        if resume:
            model, average, history, commits = checkpoint.load(identity)
            if len(history) >= settings.epochs and (out / "model.json").exists():
                console.print("This training had already finished; its model is unchanged.")
                return out
            go_on_with(model, settings, steps)
        else:
            model, history, commits = build(settings, steps, init, split.fit), [], []
            checkpoint.start()
            average = model.get_weights()
        # Now, not at the end: the source may have changed by then, and Python does not load it anew.
        if started_by and started_by not in commits:
            commits.append(started_by)

        make_step: Callable[[Batch], tuple[float, float]] = partial(step_on, model)
        if settings.sharpness:
            make_step = Climber(model, settings.sharpness, settings.ferplus_weight).step_on

        # ---- epochs -----------------------------------------------------------------------------
        fit = split.fit
        at_each_step = teachers if settings.distill_seen else []
        if (teachers or settings.distill_votes) and not at_each_step and len(history) < settings.epochs:
            answers = mean_answers(teachers, fit, progress)
            taught = informed_by_votes(answers, fit) if settings.distill_votes else answers["output"]
            fit = replace(fit, taught=taught)
        for number in range(len(history) + 1, settings.epochs + 1):
            started = time.monotonic()
            seed_dropout(model, settings.seed, number)
            shown = progress.add_task(f"epoch {number}/{settings.epochs}", total=steps)
            sums, averaged = np.zeros(2), (number - 1) * steps
            for step, batch in enumerate(
                batches(fit, settings, number, at_each_step), (number - 1) * steps + 1
            ):
                logs = make_step(batch)
                if not np.isfinite(logs[0]):
                    raise _astray(number)
                sums += np.array(logs) * len(batch.inputs["images"])
                ends = step == number * steps
                if ends or (settings.average and step % AVERAGE_EVERY == 0):
                    now, since = model.get_weights(), step - averaged
                    average = moving_average(average, now, settings.average, step, since)
                    averaged = step
                progress.update(shown, advance=1)
            loss, accuracy = (sums / len(split.fit)).tolist()
            progress.remove_task(shown)
            probabilities = score_with(average, model, validation_inputs)
            if not np.isfinite(probabilities).all():
                raise _astray(number)
            held_out = measure(probabilities, split.validation.labels, LABELS)
            history.append(
                Epoch(
                    number,
                    loss,
                    accuracy,
                    held_out.loss,
                    held_out.accuracy.value,
                    round(time.monotonic() - started, 1),
                )
            )
            checkpoint.save(model, average, history, identity, commits)
            console.print(describe(history[-1], settings.epochs))

        # ---- the epoch that is kept, and what is written ----------------------------------------
        kept = history[-1] if settings.keep == "last" else best(history)
        # Keras names layers by how many it has made so far, which are more in a run that went on; with
        # other names the same weights would be another file.
        keras.utils.clear_session(free_memory=False)
        keras.config.set_dtype_policy("float32")
        final = NETWORKS[settings.network](len(LABELS))
        learnt = checkpoint.load_average(kept.epoch)
        if settings.normalise:
            fold(learnt, final)
        else:
            final.set_weights(learnt)
        served = symmetric(final) if settings.symmetric else final
        calibrated = calibrate([final], served, split.validation, settings.max_error)
        console.print(told_of(calibrated))
        card = {
            "name": out.resolve().name,
            "network": settings.network,
            "parameters": int(final.count_params()),
            "labels": list(LABELS),
            "input": {"images": [chips.SIDE, chips.SIDE, 1], "landmarks": [68, 2]},
            "preprocessing": chips.PREPROCESSING,
            "data": {
                "name": source.name,
                "sha256": identity["data_sha256"],
                "fit": len(split.fit),
                "validation": len(split.validation),
                "left_out": split.left_out,
                "landmarks": data.LANDMARK_METHOD,
                "ferplus_sha256": identity["ferplus_sha256"],
                "faces_detected": round(float(pictures.detected.mean()), 4),
            },
            "settings": asdict(settings),
            "seed": settings.seed,
            "init": {"name": init.name, "sha256": identity["init_sha256"], "held_out": certain}
            if init
            else None,
            "teachers": [
                {"name": t.card.name, "sha256": t.weights_sha256, "held_out": trained(t.card).certain}
                for t in teachers
            ],
            "epoch": kept.epoch,
            "command": command_line(source, out, settings, ferplus, init, distill),
            "commit": ", ".join(commits) or None,
            "trained_with": trained_with(),
            **calibrated,
        }
        try:
            write_history(out / "history.csv", history)
            draw_curves(out / "curves.png", history, kept.epoch)
            write_pictures(out / "pictures.csv", pictures, split)
            write_model(served, out, card)  # last, for its card tells that a training is through
        except (OSError, RuntimeError) as error:  # h5py raises the latter on a full disk
            raise FemoError(
                f"The model cannot be written to {out}: {getattr(error, 'strerror', None) or error}.",
                "Free up space there; --resume then writes it from the last checkpoint.",
            ) from error
        return out


@contextmanager
def _computing_in(precision: str) -> Iterator[None]:
    """Networks that are built here compute so; those after it in float32 again."""
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


def _refuse_what_does_nothing(
    settings: TrainSettings, ferplus: Path | None, init: Path | None, distill: Sequence[Path]
) -> None:
    """See that the options go together.

    Raises:
        UsageError: one has no effect beside the others, or cannot be had with them.
    """
    if settings.freeze and init is None:
        raise UsageError("There is nothing to freeze.", "Give the model to keep with --init.")
    if settings.distill_votes and not ferplus:
        raise UsageError("--distill-votes learns from the FER+ votes.", "Give them: --ferplus FILE.")
    if settings.distill_seen and (settings.distill_votes or not distill):
        raise UsageError(
            "--distill-seen asks teachers about blended pictures, for which there are no votes.",
            "Give teachers with --distill, and leave out --distill-votes.",
        )
    if settings.distill_looks and not settings.distill_seen:
        raise UsageError(
            "--distill-looks changes what teachers are shown at each step.", "Add --distill-seen."
        )
    if (
        ferplus
        and not settings.distill_votes
        and "ferplus" not in outputs_of(NETWORKS[settings.network](len(LABELS)))
    ):
        raise UsageError(
            f"{settings.network} learns from no FER+ votes: it has no output for them.",
            "Leave out --ferplus, or add --distill-votes.",
        )
    if not ferplus and settings.ferplus_weight != TrainSettings.ferplus_weight:
        raise UsageError(
            "--ferplus-weight has no effect without the FER+ votes.", "Give them: --ferplus FILE."
        )
    learns_more = distill or settings.distill_votes
    if not learns_more and settings.distill_weight != TrainSettings.distill_weight:
        raise UsageError(
            "--distill-weight has no effect where only the labels are learnt.",
            "Give a teacher with --distill, or add --distill-votes.",
        )
    if settings.freeze and settings.normalise:
        raise UsageError(
            "--freeze leaves unchanged the layers that --normalise is for.", "Leave one of them out."
        )
    if settings.sharpness and settings.optimizer != "sgd":
        raise UsageError("--sharpness works only with sgd.", "Add --optimizer sgd.")
    if settings.normalise:
        check_has_none(NETWORKS[settings.network](len(LABELS)))


def _astray(epoch: int) -> ModelError:
    return ModelError(
        f"Training diverged in epoch {epoch}: the loss is not a finite number.",
        "Train again with a lower --learning-rate, or a longer --warmup.",
    )


def build(settings: TrainSettings, steps: int, init: Path | None, fit: data.Pictures) -> keras.Model:
    """A fresh network, or one with an earlier one's weights, with its optimiser."""
    model = NETWORKS[settings.network](len(LABELS))
    if init is not None:
        start_from(model, init, freeze=settings.freeze)
    if settings.normalise:
        some = np.random.default_rng(settings.seed).permutation(len(fit))[:FACES_TO_NORMALISE_BY]
        model = normalised(model, fit.where(some).inputs())
    compile_with(model, optimizer(settings, steps), settings.ferplus_weight)
    return model


def go_on_with(model: keras.Model, settings: TrainSettings, steps: int) -> None:
    """Give a network from a checkpoint an optimiser like the one it had, with that one's state.

    Keras does not save which weights are spared from decay, so the loaded one would let all decay.
    """
    anew = optimizer(settings, steps)
    anew.build(model.trainable_variables)
    for mine, kept in zip(anew.variables, model.optimizer.variables, strict=True):
        mine.assign(kept)
    compile_with(model, anew, settings.ferplus_weight)


def optimizer(settings: TrainSettings, steps: int) -> keras.optimizers.Optimizer:
    """What makes the steps of a training: warm-up, then down a cosine; biases and normalisation keep."""
    warmup = round(settings.warmup * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate * (0.01 if warmup else 1),
        decay_steps=max(1, steps * settings.epochs - warmup),
        warmup_target=settings.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    decay = settings.weight_decay or None
    if settings.optimizer == "adam":
        made = keras.optimizers.Adam(schedule, weight_decay=decay)
    else:
        made = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, weight_decay=decay)
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made


def moving_average(average: Weights, now: Weights, decay: float, step: int, since: int) -> Weights:
    """The average of the weights, normalisation statistics included, brought up to a step.

    In the first steps the average is shorter, so that it forgets the random start. Weights that are not
    trained stay the very same.

    Args:
        average: of the weights until the step that it was brought up to before.
        now: the weights.
        decay: what stays of it from step to step.
        step: from 1, over all epochs.
        since: how many steps that is.
    """
    if not decay:
        return now
    kept = min(decay, step / (step + 10)) ** since
    return [a + np.float32(1 - kept) * (b - a) for a, b in zip(average, now, strict=True)]


def _sha256_of_model(path: Path) -> str:
    try:
        return file_sha256(path)
    except IsADirectoryError as error:
        raise ModelError(
            f"{path} is a folder.", "Give the file of weights in it, such as model.h5."
        ) from error
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}.",
            "Check the spelling of its path, and that you may read it.",
        ) from error


def batches(
    fit: data.Pictures, settings: TrainSettings, epoch: int, teachers: Sequence[Classifier] = ()
) -> Iterator[Batch]:
    """The fitted pictures once, in an order and with changes that seed and epoch decide.

    Teachers are asked about what is shown, not about the pictures behind it, which some of them know by
    heart; one at a time is enough, for the loss is linear in the targets (Beyer et al. 2022, "Knowledge
    distillation: a good teacher is patient and consistent").
    """
    chance = np.random.default_rng([settings.seed, epoch])
    order = chance.permutation(len(fit))
    share = np.float32(settings.distill_weight)
    for start in range(0, len(order), settings.batch_size):
        chosen = fit.where(order[start : start + settings.batch_size])
        images, landmarks = augment(chosen.grey, chosen.landmarks, settings, chance)
        seen = chance.random(len(chosen)) >= settings.landmark_dropout
        valid = (chosen.detected & seen)[:, None].astype(np.float32)
        targets, weights = chosen.targets()
        if chosen.taught is not None:
            targets["output"] = (1 - share) * targets["output"] + share * chosen.taught
        targets = {name: smooth(target, settings.label_smoothing) for name, target in targets.items()}
        inputs = {"images": images, "landmarks": landmarks, "landmarks_valid": valid}
        batch = Batch(inputs, targets, weights)
        if settings.mixup:
            batch = mix(batch, settings.mixup, chance)
        if teachers:
            teacher = teachers[int(chance.integers(len(teachers)))]
            asked = another_look(batch.inputs, chance) if settings.distill_looks else batch.inputs
            batch = taught_by(teacher.probabilities(asked), batch, share)
        yield batch


def another_look(inputs: Inputs, chance: np.random.Generator) -> Inputs:
    """The same faces mirrored or not, at one of the sizes of ``LOOKS``.

    What a network answers to several looks is right more often than what it answers to one. Whoever
    learns from one look at a time learns, over many steps, the mean of them.
    """
    images, landmarks = inputs["images"], inputs["landmarks"]
    if chance.random() < 0.5:
        images, landmarks = mirror(images, landmarks)
    size = float(chance.choice(LOOKS))
    along = resampling(size)
    looked_at = (along @ images[..., 0] @ along.T)[..., None].astype(np.float32)
    placed = ((landmarks - 0.5) * size + 0.5).astype(np.float32)
    return {**inputs, "images": looked_at, "landmarks": placed}


LOOKS = (0.93, 1.0, 1.08)
"""Multiples of a picture's size."""


def taught_by(answers: Probabilities, batch: Batch, share: np.float32) -> Batch:
    """A batch with so much of its targets replaced by what a teacher answers."""
    targets = (1 - share) * batch.targets["output"] + share * answers
    return replace(batch, targets={**batch.targets, "output": targets})


def seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the state of each dropout, which a checkpoint does not hold, from seed and epoch."""
    for number, layer in enumerate(model.layers):
        if isinstance(layer, keras.layers.Dropout):
            state = np.random.SeedSequence([seed, number, epoch]).generate_state(2)
            layer.seed_generator.state.assign(state >> 1)  # 31 bits fit the type of every backend


def describe(epoch: Epoch, epochs: int) -> str:
    return (
        f"epoch {epoch.epoch}/{epochs}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}"
        f"  validation loss {epoch.validation_loss:.4f}"
        f"  accuracy {epoch.validation_accuracy:.4f}  {epoch.seconds:.0f} s"
    )


def write_history(path: Path, history: list[Epoch]) -> None:
    with path.open("w", newline="", encoding="utf-8") as target:
        rows = csv.DictWriter(target, list(asdict(history[0])), lineterminator="\n")
        rows.writeheader()
        rows.writerows(asdict(epoch) for epoch in history)


def write_pictures(path: Path, pictures: data.Pictures, split: data.TrainingSplit) -> None:
    """How each picture was used, and whether its landmarks come from a detected face."""
    used = np.full(len(pictures), "not used", dtype=object)
    used[split.fit.row] = "fit"
    used[split.validation.row] = "validation"
    with path.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["row", "split", "label", "used", "face_detected"])
        for row in range(len(pictures)):
            label = LABELS[pictures.labels[row]]
            detected = int(pictures.detected[row])
            writer.writerow([row, pictures.usage[row], label, used[row], detected])
