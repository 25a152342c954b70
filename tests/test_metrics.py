from __future__ import annotations

import numpy as np
import pytest

from forensic_emotion.errors import FemoError
from forensic_emotion.intervals import wilson
from forensic_emotion.training.calibrate import (
    calibration,
    choose_threshold,
    fit_temperature,
    soften,
)
from forensic_emotion.training.metrics import (
    answered_above,
    expected_calibration_error,
    lost,
    measure,
    risk_coverage,
)
from forensic_emotion.training.regression import (
    SoftmaxRegression,
    centred_logits,
    chained,
    fit_softmax,
)
from tests.trainings import loss_of


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Published examples of the score interval: Newcombe 1998, table I; and both ends.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson(hits: int, n: int, low: float, high: float) -> None:
    interval = wilson(hits, n)
    assert interval.value == hits / n
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)
    assert wilson(n - hits, n).high == pytest.approx(1 - low, abs=5e-5)


def test_the_line_that_is_printed() -> None:
    assert str(wilson(2158, 3589)) == "0.6013 (95% 0.5852-0.6172, n=3589)"
    for hits, n in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="hits"):
            wilson(hits, n)


def test_figures() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]], np.float32)
    figures = measure(probabilities, np.array([0, 1, 1]), ("a", "b", "c"))
    assert figures.confusion.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert figures.accuracy.value == pytest.approx(2 / 3)
    assert figures.loss == pytest.approx(-np.log([0.7, 0.3, 0.8]).mean(), rel=1e-6)
    assert figures.macro_f1 == pytest.approx((2 / 3 + 2 / 3) / 2)  # nobody speaks of c
    assert figures.brier == pytest.approx(
        np.mean([0.14, 0.36 + 0.49 + 0.01, 0.01 + 0.04 + 0.01]), rel=1e-5
    )
    a, b, c = figures.classes
    assert (a.precision, a.recall, a.n, a.answered) == (0.5, 1.0, 1, 2)
    assert (b.precision, b.recall) == (1.0, 0.5)
    assert (c.precision, c.recall, c.n, c.answered) == (None, None, 0, 0)


def test_certain_and_wrong_is_not_infinite() -> None:
    figures = measure(np.array([[1.0, 0.0]], np.float32), np.array([1]), ("a", "b"))
    assert 10 < figures.loss < 20


def drawn(temperature: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and labels drawn from them at another temperature."""
    chance = np.random.default_rng(0)
    said = soften(chance.dirichlet(np.ones(7), n).astype(np.float32), 0.5)
    true = soften(said, temperature)
    labels = (true.cumsum(axis=1) > chance.random((n, 1))).argmax(axis=1)
    return said, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_found_again(temperature: float) -> None:
    said, labels = drawn(temperature)
    assert fit_temperature(said, labels) == pytest.approx(temperature, rel=0.05)
    softened = soften(said, temperature)
    assert (softened.argmax(axis=1) == said.argmax(axis=1)).all()
    assert expected_calibration_error(softened, labels) < 0.02


def test_classes_that_are_preferred_wrongly_are_put_right() -> None:
    said, _ = drawn(1.0)
    wrong = np.eye(7) + np.diag([0.3] * 6, 1) - np.diag([0.2] * 6, -1)
    bias = np.linspace(-0.8, 0.8, 7)
    true = SoftmaxRegression(wrong, bias).probabilities(centred_logits(said))
    chance = np.random.default_rng(1)
    labels = (true.cumsum(axis=1) > chance.random((len(said), 1))).argmax(axis=1)
    fitted = calibration(said[:5000], labels[:5000])
    corrected = fitted.correction.probabilities(centred_logits(said[5000:]))
    new = labels[5000:]
    before, best = (loss_of(p[5000:], new) for p in (said, true))
    assert loss_of(corrected, new) - best < 0.02 * (before - best)
    assert fitted.ridge is not None
    # What the card says comes from pictures that were not fitted to.
    own = fitted.correction.probabilities(centred_logits(said[:5000]))
    assert loss_of(own, labels[:5000]) < loss_of(fitted.cross_fitted, labels[:5000])
    assert loss_of(fitted.cross_fitted, labels[:5000]) == pytest.approx(best, rel=0.05)


def test_few_pictures_are_calibrated_by_the_temperature_alone() -> None:
    said, labels = drawn(2.0, n=40)
    assert calibration(said, labels).ridge is None
    said, labels = drawn(2.0, n=500)
    some = labels != 3  # or one of the classes was held out nowhere
    assert calibration(said[some], labels[some]).ridge is None
    one = calibration(said[:1], labels[:1])
    assert np.isfinite(one.correction.kernel).all()
    assert np.isfinite(one.cross_fitted).all()


def test_the_regression_finds_what_the_labels_were_drawn_by() -> None:
    chance = np.random.default_rng(3)
    features = chance.normal(size=(30_000, 4))
    true = SoftmaxRegression(chance.normal(size=(4, 3)), np.array([0.5, 0.0, -0.5]))
    drawn_by = true.probabilities(features)
    labels = (drawn_by.cumsum(axis=1) > chance.random((30_000, 1))).argmax(axis=1)
    found = fit_softmax(features, labels, np.zeros((4, 3)), 1e-6)
    assert np.abs(found.probabilities(features) - drawn_by).mean() < 0.01
    with pytest.raises(FemoError, match="did not converge"):
        fit_softmax(np.full((4, 2), np.nan), np.zeros(4, np.int64), np.zeros((2, 3)), 1.0)
    held = fit_softmax(features, labels, true.kernel, 1e6)
    np.testing.assert_allclose(held.kernel, true.kernel, atol=1e-3)


def test_two_corrections_are_one() -> None:
    said, _ = drawn(2.0, n=50)
    classes = said.shape[1]
    chance = np.random.default_rng(5)
    first, then = (
        SoftmaxRegression(
            np.eye(classes) + 0.2 * chance.normal(size=(classes, classes)), chance.normal(size=classes)
        )
        for _ in range(2)
    )
    both = chained(first, then)
    np.testing.assert_allclose(both.applied_to(said), then.applied_to(first.applied_to(said)), rtol=1e-4)
    assert np.linalg.cond(both.kernel) < 100  # so that it can be taken out again


def test_calibration_error_of_known_cases() -> None:
    sure = np.tile(np.array([[1.0, 0.0]], np.float32), (10, 1))
    assert expected_calibration_error(sure, np.zeros(10, np.int64)) == 0
    assert expected_calibration_error(sure, np.ones(10, np.int64)) == 1
    half = np.tile(np.array([[0.7, 0.3]], np.float32), (10, 1))
    assert expected_calibration_error(half, np.arange(10) % 2) == pytest.approx(0.2, abs=1e-6)
    said, labels = drawn(3.0)
    assert expected_calibration_error(said, labels) > 0.1


def test_the_threshold_keeps_the_error_under_the_rate() -> None:
    said, labels = drawn(1.0)
    found = choose_threshold(said, labels, 0.2)
    assert found.error is not None
    assert found.error.high <= 0.2
    assert 0.185 < found.error.value < 0.2  # no stricter than it must be
    assert 0.1 < found.coverage < 0.9
    answered = answered_above(said, labels, tuple("abcdefg"), found.threshold)
    assert answered.coverage.value == found.coverage
    assert answered.error == found.error
    assert sum(c.n for c in answered.classes) == answered.coverage.n * found.coverage


def test_a_threshold_for_the_sure_and_for_the_hopeless() -> None:
    right = np.tile(np.array([[0.9, 0.1]], np.float32), (200, 1))
    always = choose_threshold(right, np.zeros(200, np.int64), 0.2)
    assert (always.threshold, always.coverage) == (0.0, 1.0)
    never = choose_threshold(right, np.ones(200, np.int64), 0.2)
    assert (never.threshold, never.coverage, never.error) == (1.0, 0.0, None)
    nothing = answered_above(right, np.ones(200, np.int64), ("a", "b"), never.threshold)
    assert nothing.error is None
    assert nothing.coverage.value == 0
    # Pictures of one confidence are answered together or not at all.
    half = choose_threshold(right, np.arange(200) % 2, 0.6)
    assert half.coverage in (0.0, 1.0)


def test_a_threshold_is_not_found_by_trying_many() -> None:
    """If answers are wrong a little too often, whatever their score, one in forty models may pass."""
    chance = np.random.default_rng(0)
    passed = 0
    for _ in range(400):
        sure = np.sort(chance.uniform(0.5, 1, 710).astype(np.float32))
        answers = np.stack([sure, 1 - sure], axis=1)
        wrong = chance.random(710) < 0.22
        passed += choose_threshold(answers, wrong.astype(np.int64), 0.2).coverage > 0
    assert passed <= 0.025 * 400


@pytest.mark.parametrize("max_error", [0.02, 0.05, 0.2])
def test_a_good_model_answers_whatever_rate_is_asked_for(max_error: float) -> None:
    chance = np.random.default_rng(1)
    sure = (1 - 0.4 * chance.random(3000) ** 2).astype(np.float32)
    wrong = chance.random(3000) > sure
    found = choose_threshold(np.stack([sure, 1 - sure], axis=1), wrong.astype(np.int64), max_error)
    assert found.coverage > 0.2
    right = np.tile(np.array([[0.9, 0.1]], np.float32), (60, 1)) - np.linspace(0, 0.1, 60)[:, None]
    few = choose_threshold(right.astype(np.float32), np.zeros(60, np.int64), 0.2)
    assert few.coverage == 1


def test_intervals_hold_their_shares() -> None:
    for n in range(1, 400):
        nothing, all_of_it = wilson(0, n), wilson(n, n)
        assert nothing.low == nothing.value == 0
        assert all_of_it.high == all_of_it.value == 1


def test_what_is_lost_is_told_by_pairs() -> None:
    before = np.array([True] * 80 + [False] * 20)
    after = np.array([True] * 70 + [False] * 28 + [True] * 2)
    found = lost(before, after)
    assert found.value == pytest.approx(0.08)
    # Ten pairs lose, two win; one is added to each of both: 11 and 3 of 102.
    reach = 1.96 * np.sqrt((14 / 102 - (8 / 102) ** 2) / 102)
    assert found.low == pytest.approx(8 / 102 - reach, abs=1e-4)
    assert found.high == pytest.approx(8 / 102 + reach, abs=1e-4)
    same = lost(before, before)
    assert same.low < same.value == 0 < same.high, "that no pair differs is no proof that none would"


def test_bins_and_answered_pictures_are_told_whole() -> None:
    said, labels = drawn(1.0)
    figures = measure(said, labels, tuple("abcdefg"))
    assert all(b.low <= b.confidence <= b.high for b in figures.reliability)
    n = sum(b.right.n for b in figures.reliability)
    mean = sum(b.right.n * b.confidence for b in figures.reliability) / n
    assert mean == pytest.approx(float(said.max(axis=1).mean()), abs=1e-6)
    answered = answered_above(said, labels, tuple("abcdefg"), 0.4)
    rows = np.array(answered.confusion)
    for which, each in enumerate(answered.classes):
        right, named = rows[which, which], rows[:, which].sum()
        assert each.answered == named
        assert each.wrong is None or each.wrong.value == pytest.approx(1 - right / named)


def test_risk_over_coverage() -> None:
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8]], np.float32)
    coverage, error = risk_coverage(probabilities, np.array([1, 0, 1, 0]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    np.testing.assert_allclose(error, [0, 1 / 2, 1 / 3, 2 / 4])
