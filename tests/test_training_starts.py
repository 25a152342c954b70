"""What a training starts from and learns from, what it refuses, and how it ends.

Apart from ``test_training.py`` so that two processes share the trainings.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forensic_emotion.emotions.layers import MirrorImage, MirrorLandmarks, Zoom, ZoomLandmarks
from forensic_emotion.errors import DataError, FemoError, ModelError, UsageError
from forensic_emotion.hashes import file_sha256
from forensic_emotion.settings import TrainSettings
from forensic_emotion.training import data
from forensic_emotion.training.calibrate import soften
from tests.builders import write_fer2013
from tests.trainings import loss_of, small_seed, train_tiny, weights_of, write_votes


@pytest.mark.slow
def test_a_teacher_that_may_know_the_held_out_part_is_refused(
    tiny_csv: Path, tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="less of them held out"):
        train_tiny(tiny_csv, tmp_path / "out", distill=[tiny_model], validation_share=0.3)


@pytest.mark.slow
def test_options_that_could_do_nothing_are_refused(tiny_csv: Path, tmp_path: Path) -> None:
    for options, text in (
        ({"distill_weight": 0.9}, "--distill-weight has no effect"),
        ({"network": "gated_vgg", "ferplus_weight": 1.0}, "--ferplus-weight has no effect"),
    ):
        with pytest.raises(UsageError, match=text):
            train_tiny(tiny_csv, tmp_path / "out", **options)
    with pytest.raises(UsageError, match="leaves none of --epochs 2"):
        TrainSettings(warmup=2.0, epochs=2).refuse_useless({"warmup", "epochs"})


@pytest.mark.slow
@pytest.mark.usefixtures("small_seed")
def test_a_start_that_knows_the_held_out_part_is_refused(
    tiny_csv: Path, tiny_model: Path, tmp_path: Path
) -> None:
    from forensic_emotion.training.warm_start import check_held_out

    start, checkpoint = tiny_model / "model.h5", max((tiny_model / "checkpoint").glob("*.keras"))
    assert not check_held_out(start, "0" * 64, 0.3), "of other data nobody can tell"
    alone = shutil.copy(start, tmp_path / "alone.h5")
    assert not check_held_out(Path(alone), "0" * 64, 0.3), "nor of weights that no card speaks of"
    with pytest.raises(
        ModelError, match=r"model\.h5 was fitted to pictures that --validation-share 0\.3"
    ):
        train_tiny(tiny_csv, tmp_path / "out", init=start, validation_share=0.3)
    with pytest.raises(ModelError, match=rf"{checkpoint.name} was fitted to pictures that"):
        train_tiny(tiny_csv, tmp_path / "out", init=checkpoint, validation_share=0.3)


@pytest.mark.slow
@pytest.mark.usefixtures("small_seed")
def test_a_start_is_what_its_card_says_and_knows_no_held_out_label(
    tiny_csv: Path, tiny_model: Path, tmp_path: Path
) -> None:
    import keras

    from forensic_emotion.training.calibrate import build_in
    from forensic_emotion.training.regression import SoftmaxRegression, chained
    from forensic_emotion.training.warm_start import check_held_out, start_from

    copy = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    facts = json.loads((copy / "model.json").read_text())
    data_sha256 = facts["data"]["sha256"]
    assert check_held_out(copy / "model.h5", data_sha256, 0.2)
    # A matrix that was fitted to the held-out labels is not taken over, the temperature is.
    network = keras.models.load_model(copy / "model.h5", compile=False)
    built_in = facts["calibration"]
    fitted = SoftmaxRegression(np.diag([5.0, 1, 1, 1, 1, 1, 1]), np.arange(7.0))
    build_in(network, fitted)
    network.save(copy / "model.h5", include_optimizer=False)
    with pytest.raises(ModelError, match=r"model\.h5 has SHA-256"):
        check_held_out(copy / "model.h5", data_sha256, 0.2)
    facts["files"]["model.h5"]["sha256"] = file_sha256(copy / "model.h5")
    before = SoftmaxRegression(np.array(built_in["kernel"]), np.array(built_in["bias"]))
    both = chained(before, fitted)
    facts["calibration"] = {**built_in, "kernel": both.kernel.tolist(), "bias": both.bias.tolist()}
    # What is behind a start, or taught it, counts too.
    for behind in (
        {"init": {"held_out": False}},
        {"teachers": [{"name": "t", "held_out": False}]},
        {"members": [{"members": [{"init": {"held_out": False}}]}]},
    ):
        (copy / "model.json").write_text(json.dumps({**facts, **behind}))
        assert not check_held_out(copy / "model.h5", data_sha256, 0.2)
    (copy / "model.json").write_text(json.dumps({**facts, "calibration": {"kernel": "?"}}))
    with pytest.raises(ModelError, match="does not say how the model was calibrated"):
        start_from(small_seed(7), copy / "model.h5", freeze=False)
    (copy / "model.json").write_text(json.dumps(facts))
    started, plain = small_seed(7), small_seed(7)
    start_from(started, copy / "model.h5", freeze=False)
    start_from(plain, tiny_model / "model.h5", freeze=False)
    taken, known = (model.get_layer("output").get_weights()[0] for model in (started, plain))
    calibrated = keras.models.load_model(copy / "model.h5", compile=False).get_layer("output")
    assert np.abs(calibrated.get_weights()[0] - known).max() > 10 * np.abs(taken - known).max()
    # Nor does a training replace a model that another program put there.
    for other in copy.glob("model.*n*"):
        other.unlink()
    with pytest.raises(UsageError, match="a training run or a model"):
        train_tiny(tiny_csv, copy, init=copy / "model.h5")


@pytest.mark.slow
@pytest.mark.usefixtures("small_seed")
def test_a_damaged_checkpoint_is_named(tiny_csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tiny_csv, out, stop_at="epoch 1/")
    for name in ("state.json", "epoch-001.keras", "epoch-001.npz"):
        file = out / "checkpoint" / name
        content = file.read_bytes()
        for damaged in (b"", content[: len(content) // 2], b"null"):
            file.write_bytes(damaged)
            with pytest.raises(DataError, match=f"{name} is damaged"):
                train_tiny(tiny_csv, out, resume=True)
        file.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        train_tiny(tiny_csv, out, resume=True, seed=7, mixup=0.5)
    assert refused.value.remedy == "What differs: mixup 0.0 / 0.5; seed 1 / 7."


@pytest.mark.slow
@pytest.mark.usefixtures("small_seed")
def test_a_training_that_came_to_its_end_stays_as_it_is(tiny_csv: Path, tmp_path: Path) -> None:
    out = train_tiny(tiny_csv, tmp_path / "out", epochs=1)
    facts = json.loads((out / "model.json").read_text())
    facts["metrics"]["PublicTest"] = {"recorded": "later"}
    (out / "model.json").write_text(json.dumps(facts))
    train_tiny(tiny_csv, out, epochs=1, resume=True)
    assert json.loads((out / "model.json").read_text()) == facts


@pytest.mark.slow
@pytest.mark.usefixtures("small_seed")
def test_teachers_are_asked_only_if_there_is_something_to_learn(
    tiny_csv: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensic_emotion.training import train

    def asked(*_: object) -> None:
        raise AssertionError("a teacher was asked")

    out = train_tiny(tiny_csv, tmp_path / "out", distill=[tiny_model], epochs=1)
    weights = weights_of(out)
    (out / "model.json").unlink()  # as of a run that was stopped while it wrote the model
    monkeypatch.setattr(train, "mean_answers", asked)
    train_tiny(tiny_csv, out, distill=[tiny_model], epochs=1, resume=True)
    for one, two in zip(weights_of(out), weights, strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(UsageError, match="already holds"):
        train_tiny(tiny_csv, out, distill=[tiny_model], epochs=1)


class Sure:
    """A teacher who takes every face for one class."""

    def __init__(self, label: int) -> None:
        self.says = np.eye(7, dtype=np.float32)[label]
        self.asked: list[Any] = []

    def probabilities(self, inputs: Any) -> Any:
        self.asked.append(inputs)
        return np.tile(self.says, (len(inputs["images"]), 1))


@pytest.mark.slow  # it imports the teachers' runtime
def test_teachers_may_be_asked_about_the_pictures_as_they_are_shown(tiny_csv: Path) -> None:
    from forensic_emotion.training.train import batches

    fit = data.split_training(data.read(tiny_csv), 0.2).fit
    settings = TrainSettings(batch_size=8, mixup=0.4, erase=0.5, rotate=10.0, distill_weight=0.75)
    teachers = [Sure(0), Sure(6)]
    taught = list(batches(fit, settings, 1, teachers))  # type: ignore[arg-type]
    plain = next(batches(fit, settings, 1))
    for name, values in taught[0].inputs.items():
        np.testing.assert_array_equal(values, plain.inputs[name])
    for batch in taught:
        (teacher,) = [t for t in teachers if any(batch.inputs is each for each in t.asked)]
        labels = 4 * (batch.targets["output"] - 0.75 * teacher.says)
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-5)
        assert labels.min() > -1e-5
    assert all(teacher.asked for teacher in teachers), "by turns, as chance will have it"
    np.testing.assert_allclose(
        4 * (taught[0].targets["output"] - plain.targets["output"] / 4).sum(axis=1), 3, atol=1e-5
    )


def test_teachers_are_asked_about_other_looks() -> None:
    """The same as the layers show that a network asks about: mirrored, and of other sizes."""
    from forensic_emotion.training.train import LOOKS, another_look

    chance = np.random.default_rng(0)
    images = chance.random((5, 48, 48, 1)).astype(np.float32)
    landmarks = chance.random((5, 68, 2)).astype(np.float32)
    inputs = {"images": images, "landmarks": landmarks, "landmarks_valid": np.ones((5, 1), np.float32)}
    mirrored = np.asarray(MirrorImage()(images)), np.asarray(MirrorLandmarks()(landmarks))
    looks = [
        (np.asarray(Zoom(size)(shown)), np.asarray(ZoomLandmarks(size)(points)))
        for size in LOOKS
        for shown, points in ((images, landmarks), mirrored)
    ]
    found = set()
    for _ in range(60):
        asked = another_look(inputs, chance)
        (which,) = [
            number
            for number, (shown, points) in enumerate(looks)
            if np.allclose(asked["images"], shown, atol=1e-5)
            and np.allclose(asked["landmarks"], points, atol=1e-5)
        ]
        found.add(which)
        assert asked["landmarks_valid"] is inputs["landmarks_valid"]
    assert len(found) == len(looks)
    assert (inputs["images"] == images).all()


@pytest.mark.slow
def test_who_is_to_be_asked_at_each_step_must_be_there(tiny_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--distill-seen asks teachers"):
        train_tiny(tiny_csv, tmp_path / "out", distill_seen=True)
    with pytest.raises(UsageError, match="--distill-looks changes"):
        train_tiny(tiny_csv, tmp_path / "out", distill_looks=True)


@pytest.mark.slow
def test_votes_are_learnt_from_if_there_are_some(tiny_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="learns from the FER"):
        train_tiny(tiny_csv, tmp_path / "out", distill=[tmp_path], distill_votes=True)


@pytest.mark.slow
@pytest.mark.usefixtures("small_seed")
def test_votes_alone_are_a_teacher_too(tiny_csv: Path, tmp_path: Path) -> None:
    votes = write_votes(tmp_path / "votes.csv", {"Training": 70, "PublicTest": 35})
    plain, taught = (
        train_tiny(
            tiny_csv, tmp_path / str(on), ferplus=votes if on else None, epochs=1, distill_votes=on
        )
        for on in (False, True)
    )
    assert any((a != b).any() for a, b in zip(weights_of(plain), weights_of(taught), strict=True))
    with pytest.raises(UsageError, match="learns from no FER\\+ votes"):
        train_tiny(tiny_csv, tmp_path / "none", ferplus=votes, epochs=1)
    card = json.loads((taught / "model.json").read_text())
    assert card["teachers"] == []
    assert "--distill-votes" in card["command"]
    assert "--distill " not in card["command"]


@pytest.mark.slow  # it imports the teachers' runtime
def test_an_answer_joined_with_votes_tells_the_labels_better_than_either(tmp_path: Path) -> None:
    from forensic_emotion.training.teachers import informed_by_votes

    chance = np.random.default_rng(0)
    n = 4000
    truth = chance.dirichlet(np.full(7, 0.4), n)
    labels = (truth.cumsum(axis=1) > chance.random((n, 1))).argmax(axis=1)
    votes = np.zeros((n, 10), np.float32)
    votes[:, 1:8] = [chance.multinomial(5, p) for p in truth]  # in another order than the classes
    votes[:100] = 0  # nobody has voted on these
    answer = (truth * chance.gamma(1.5, size=truth.shape)).astype(np.float32) + np.float32(1e-6)
    answer /= answer.sum(axis=1, keepdims=True)
    few = data.read(write_fer2013(tmp_path / "f.csv", {"Training": 1}))
    pictures = replace(few.where(np.zeros(n, np.intp)), labels=labels, votes=votes)
    joined = informed_by_votes(
        {"output": answer, "ferplus": np.full((n, 8), 0.125, np.float32)}, pictures
    )
    np.testing.assert_allclose(joined.sum(axis=1), 1, atol=1e-5)
    of_votes = (votes[:, 1:8] + 1) / (votes[:, 1:8] + 1).sum(axis=1, keepdims=True)
    best = loss_of(truth, labels)
    assert loss_of(joined, labels) - best < 0.6 * (loss_of(soften(answer, 1.0), labels) - best)
    assert loss_of(joined, labels) - best < 0.6 * (loss_of(of_votes, labels) - best)
    assert loss_of(joined[:100], labels[:100]) < loss_of(np.full((100, 7), 1 / 7), labels[:100])
    alone = informed_by_votes({}, pictures)
    losses = [loss_of(each[100:], labels[100:]) for each in (joined, alone, of_votes)]
    assert losses == sorted(losses)
    np.testing.assert_array_equal(alone[:100], np.eye(7)[labels[:100]])


@pytest.mark.slow
@pytest.mark.usefixtures("small_seed")
def test_a_training_that_goes_astray_makes_no_model(tiny_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="diverged"):
        train_tiny(tiny_csv, tmp_path / "out", learning_rate=1000.0, optimizer="sgd", epochs=3)
    assert not (tmp_path / "out" / "model.json").exists()


@pytest.mark.slow
def test_a_symmetric_model_can_be_trained_on(symmetric_model: Path) -> None:
    from forensic_emotion.training.network import gated_vgg
    from forensic_emotion.training.warm_start import start_from

    assert start_from(gated_vgg(7), symmetric_model / "model.h5", freeze=False) == []


@pytest.mark.slow
@pytest.mark.usefixtures("small_resnet")
@pytest.mark.parametrize("network", ["seed", "gated_vgg", "face_resnet"])
def test_a_training_can_start_from_an_earlier_model(tmp_path: Path, network: str) -> None:
    import keras

    from forensic_emotion.training.network import NETWORKS
    from forensic_emotion.training.warm_start import start_from

    earlier = NETWORKS[network](5)  # another class list
    earlier.save(tmp_path / "earlier.h5", include_optimizer=False)
    model = NETWORKS[network](7)
    assert start_from(model, tmp_path / "earlier.h5", freeze=True) == ["output"]
    heads = {"output"} if network == "seed" else {"output", "ferplus"}
    assert {layer.name for layer in model.layers if layer.trainable_weights} == heads
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    others = [layer.kernel for layer in earlier.layers if isinstance(layer, keras.layers.Conv2D)]
    for one, other in zip(kernels, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.usefixtures("small_seed")
def test_a_frozen_training_changes_the_outputs_and_nothing_else(tiny_csv: Path, tmp_path: Path) -> None:
    import keras

    init = tmp_path / "earlier.h5"
    before = small_seed(7)
    before.save(init, include_optimizer=False)
    out = train_tiny(tiny_csv, tmp_path / "out", init=init, epochs=1, freeze=True)
    assert json.loads((out / "model.json").read_text())["init"]["name"] == "earlier.h5"
    after = keras.models.load_model(out / "model.h5")
    changed = [
        own.name
        for own, other in zip(after.layers, before.layers, strict=True)
        if any((a != b).any() for a, b in zip(own.get_weights(), other.get_weights(), strict=True))
    ]
    assert changed == ["output"]
    with pytest.raises(UsageError, match="nothing to freeze"):
        train_tiny(tiny_csv, tmp_path / "other", freeze=True)


@pytest.mark.slow
def test_a_start_from_something_else_is_told(tiny_csv: Path, tmp_path: Path) -> None:
    from forensic_emotion.training.network import gated_vgg

    gated_vgg(7).save(tmp_path / "gated.h5", include_optimizer=False)
    (tmp_path / "text.h5").write_text("no model")
    for name, message in [
        ("gated.h5", "another architecture"),
        ("text.h5", "cannot be loaded"),
        ("none.h5", "cannot be read"),
    ]:
        with pytest.raises(ModelError, match=message):
            train_tiny(tiny_csv, tmp_path / "out", init=tmp_path / name)
    assert not (tmp_path / "out").exists()
    for given in ({"init": tmp_path / "none.h5"}, {"distill": [tmp_path / "none"]}):
        with pytest.raises(ModelError, match="none"):  # before the data are read, which takes minutes
            train_tiny(tmp_path / "no-such.csv", tmp_path / "out", **given)


def test_a_processor_without_bfloat16_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from forensic_emotion.training import processor

    monkeypatch.setattr(processor, "FACTS", tmp_path / "cpuinfo")
    assert processor.computes_bfloat16() is None, "no file: unknown"
    for flags, computes in (("fpu avx2 avx512f", False), ("fpu avx512_bf16 avx2", True)):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\n")
        assert processor.computes_bfloat16() is computes


@pytest.mark.slow
def test_resuming_nothing_is_told(tiny_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run to resume"):
        train_tiny(tiny_csv, tmp_path / "none", resume=True)


@pytest.mark.slow
@pytest.mark.usefixtures("small_seed")
def test_what_a_full_disk_kept_from_being_written_is_written_by_going_on(
    tiny_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensic_emotion.training import train as module

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_pictures", full)
        with pytest.raises(FemoError, match="--resume then writes it"):
            train_tiny(tiny_csv, tmp_path / "out", epochs=1)
    train_tiny(tiny_csv, tmp_path / "out", epochs=1, resume=True)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"model.json", "pictures.csv", "history.csv", "curves.png"} <= names


@pytest.mark.slow
def test_no_two_epochs_leave_out_the_same_units() -> None:
    import keras

    from forensic_emotion.training.train import seed_dropout

    states = []
    for seed, epoch in ((1, 1), (1, 2), (2, 1), (2**32 - 1, 1)):
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)]
        )
        seed_dropout(model, seed, epoch)
        states += [
            tuple(keras.ops.convert_to_numpy(layer.seed_generator.state)) for layer in model.layers
        ]
    assert len({state[0] for state in states}) == len(states)
    assert all(0 <= number < 2**31 for state in states for number in state)


@pytest.mark.slow
def test_the_average_forgets_by_the_step() -> None:
    from forensic_emotion.training.train import moving_average

    (by_eight,) = moving_average([np.ones(1)], [np.zeros(1)], 0.9, 1000, 8)
    (by_one,) = moving_average([np.ones(1)], [np.zeros(1)], 0.9, 1000, 1)
    assert (by_eight[0], by_one[0]) == (pytest.approx(0.9**8), pytest.approx(0.9))
    frozen = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    (after,) = moving_average([frozen], [frozen.copy()], 0.999, 1000, 8)
    np.testing.assert_array_equal(after, frozen)


@pytest.mark.slow
def test_any_part_of_a_picture_may_be_covered() -> None:
    from forensic_emotion.training.augment import erase

    images = np.full((400, 48, 48), -1.0, np.float32)
    erase(images, 1.0, np.random.default_rng(3))
    covered = (images >= 0).any(axis=0)
    assert covered.any(axis=0).all()
    assert covered.any(axis=1).all()


@pytest.mark.slow
def test_without_the_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from forensic_emotion.training import extra

    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    with pytest.raises(FemoError, match="optional extra 'train'") as error:
        extra.require_train_extra("femo train")
    assert "pip install -e '.[train]'" in str(error.value)


def test_two_trainings_into_one_folder_are_kept_apart(tmp_path: Path) -> None:
    from forensic_emotion.training.checkpoint import Checkpoint

    first, second = Checkpoint(tmp_path / "checkpoint"), Checkpoint(tmp_path / "checkpoint")
    first.start()
    with pytest.raises(UsageError, match="Another training is writing"):
        second.start()
    first.close()
    second.start()
    second.close()
