"""Multinomial logistic regression, shrunk towards what it starts from instead of towards nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from forensic_emotion.errors import FemoError

FLAT = 1e-5
"""Slope at which a minimum is one."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SoftmaxRegression:
    """Features → probabilities of classes."""

    kernel: Floats
    """(features, classes)."""
    bias: Floats
    """(classes,)."""

    def probabilities(self, features: Floats) -> Floats:
        """(n, features) → (n, classes)."""
        logits = features @ self.kernel + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)

    def applied_to(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Corrected probabilities, (n, classes) → (n, classes), if the features are centred logits."""
        return self.probabilities(centred_logits(probabilities)).astype(np.float32)


def chained(first: SoftmaxRegression, then: SoftmaxRegression) -> SoftmaxRegression:
    """What answers as ``then`` does to the centred logits of what ``first`` answers."""
    classes = len(first.bias)
    centred = (np.eye(classes) - 1 / classes) @ then.kernel
    # The same for all classes, the last term changes no answer; it keeps the kernel invertible.
    return SoftmaxRegression(first.kernel @ (centred + 1 / classes), first.bias @ centred + then.bias)


def fit_softmax(
    features: Floats, labels: npt.NDArray[np.int64], start: Floats, ridge: float
) -> SoftmaxRegression:
    """The regression with the least mean cross-entropy plus ``ridge / 2`` times its squared distance
    from the start. The sum has one minimum, so the answer does not depend on the way to it.

    Args:
        features: (n, features).
        labels: (n,), each less than the number of classes.
        start: (features, classes), the kernel to stay near; the bias stays near 0.
        ridge: above 0.

    Raises:
        FemoError: the minimum was not found.
    """
    rows, classes = np.arange(len(labels)), start.shape[1]
    origin = np.vstack([start, np.zeros(classes)])
    with_one = np.hstack([features, np.ones((len(features), 1))])
    truth = np.eye(classes)[labels]

    def loss_and_slope(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(origin.shape)
        found = SoftmaxRegression(weights[:-1], weights[-1]).probabilities(features)
        away = weights - origin
        loss = -np.log(np.maximum(found[rows, labels], 1e-300)).mean() + ridge / 2 * (away**2).sum()
        slope = with_one.T @ (found - truth) / len(labels) + ridge * away
        return float(loss), slope.ravel()

    best = minimize(
        loss_and_slope,
        origin.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 5_000, "maxfun": 10_000, "gtol": FLAT / 10, "ftol": 0},
    )
    if not np.abs(best.jac).max() <= FLAT:
        raise FemoError(
            f"A logistic regression did not converge: {best.message}.",
            "This is a bug in femo, or the scores that it was given are not finite.",
        )
    weights = best.x.reshape(origin.shape)
    return SoftmaxRegression(weights[:-1], weights[-1])


def centred_logits(probabilities: npt.NDArray[np.floating]) -> Floats:
    """The logits behind probabilities (n, classes), whose mean over the classes is 0."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-12))
    return np.asarray(logits - logits.mean(axis=1, keepdims=True), dtype=np.float64)
