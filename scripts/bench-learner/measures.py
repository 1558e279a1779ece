"""What is measured on held-out rows, and how sure it is."""

import math

import numpy as np
from scipy.stats import norm, t

from sets import FOLDS

LEVEL = 0.95
Z = norm.ppf(0.5 + LEVEL / 2)


def interval(d):
    """The mean over folds with its 95% interval, corrected for folds that share rows.

    Nadeau and Bengio (2003), as Bouckaert and Frank (2004) use it for repeated folds.
    """
    d = np.asarray(d, float)
    n = len(d)
    if n < 2:
        return float(d.mean()), -math.inf, math.inf
    half = t.ppf(0.5 + LEVEL / 2, n - 1) * math.sqrt((1 / n + 1 / (FOLDS - 1)) * d.var(ddof=1))
    return float(d.mean()), float(d.mean() - half), float(d.mean() + half)


def verdict(lo, hi):
    """Of ours minus theirs, where less is better."""
    return "win" if hi < 0 else "loss" if lo > 0 else "tie"


def curve(y, rate, exposure):
    """Shares of exposure and of the outcome, from the highest rate down; ties together."""
    order = np.argsort(-rate, kind="stable")
    last = np.flatnonzero(np.append(np.diff(rate[order]) != 0, True))
    e = np.append(0, np.cumsum(exposure[order])[last])
    a = np.append(0, np.cumsum(y[order])[last])
    return e / e[-1], a / a[-1]


def gini(y, rate, exposure):
    e, a = curve(y, rate, exposure)
    return 2 * float(np.trapezoid(a, e)) - 1


def auc(y, rate, weight_cases=None, weight_controls=None):
    """Chance that a case is above a control, ties half; weights default to y and 1 - y."""
    cases = y if weight_cases is None else weight_cases
    controls = 1 - y if weight_controls is None else weight_controls
    order = np.argsort(-rate, kind="stable")
    last = np.flatnonzero(np.append(np.diff(rate[order]) != 0, True))
    above = np.append(0, np.cumsum(cases[order])[last])
    right = np.append(0, np.cumsum(controls[order])[last])
    return float(np.trapezoid(above, right) / (above[-1] * right[-1]))


def captured(y, rate, exposure, share):
    """The part of the outcome that is in the highest share of exposure."""
    return float(np.interp(share, *curve(y, rate, exposure)))


def lift(y, rate, exposure):
    """How much of the outcome is in the top tenth, over a tenth."""
    return captured(y, rate, exposure, 0.1) / 0.1


def recalibrate(s, rate):
    """Intercept and slope that the link of a prediction would need, with 95% intervals.

    Maximum likelihood (quasi, for a cost) with the sandwich variance, which holds where the
    outcome varies more than the loss says.
    """
    y, e = s.y, s.at_risk(np.arange(len(s.y)))
    mean = s.y.sum() / e.sum()
    if s.loss == "logistic":
        link = lambda p: np.log(p / (1 - p))
        rate = np.clip(rate, 1e-15, 1 - 1e-15)
    else:
        link = np.log
    x = np.column_stack([np.ones_like(rate), link(rate)])
    b = np.array([link(mean), 0])  # from where Newton's steps do not overshoot
    for _ in range(50):
        eta = x @ b
        if s.loss == "logistic":
            mu = 1 / (1 + np.exp(-eta))
            residual, information = y - mu, mu * (1 - mu)
        elif s.loss == "poisson":
            mu = e * np.exp(eta)
            residual, information = y - mu, mu
        else:
            mu = np.exp(eta)
            residual, information = e * (y / e - mu) / np.sqrt(mu), e * np.sqrt(mu)
        bread = np.linalg.inv((x * information[:, None]).T @ x)
        step = bread @ (x.T @ residual)
        b = b + step
        if np.abs(step).max() < 1e-10:
            break
    scores = x * residual[:, None]
    se = np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread))
    return [(float(v), float(v - Z * u), float(v + Z * u)) for v, u in zip(b, se)]


def tenths(rate, exposure):
    """The tenth of exposure, by rising rate, that each row is in."""
    order = np.argsort(rate, kind="stable")
    passed = np.cumsum(exposure[order]) - exposure[order] / 2
    out = np.empty(len(rate), int)
    out[order] = np.minimum((10 * passed / exposure.sum()).astype(int), 9)
    return out


def actual_to_expected(s, rate):
    """By tenth: actual over expected with its 95% interval, from the rows' own spread."""
    e = s.at_risk(np.arange(len(s.y)))
    mu, tenth = rate * e, tenths(rate, e)
    out = []
    for k in range(10):
        rows = tenth == k
        ratio = s.y[rows].sum() / mu[rows].sum()
        half = Z * math.sqrt(((s.y[rows] - ratio * mu[rows]) ** 2).sum()) / mu[rows].sum()
        out.append((float(ratio), float(ratio - half), float(ratio + half)))
    return out


def calibration_error(s, rate, draws=200, seed=1):
    """The expected calibration error by tenths, relative to the mean, and a perfect model's.

    The perfect model's outcomes are drawn from the predictions: median and 95% of draws. A
    cost is drawn as a compound of Poisson and exponential with Pearson's dispersion, whose
    largest claims are smaller than those of real ones.
    """
    e = s.at_risk(np.arange(len(s.y)))
    mu, tenth = rate * e, tenths(rate, e)
    expected = np.bincount(tenth, mu, 10)

    def error(y):
        return float(np.abs(np.bincount(tenth, y, 10) - expected).sum() / expected.sum())

    r = np.random.default_rng(seed)
    if s.loss == "logistic":
        draw = lambda: (r.random(len(mu)) < rate).astype(float)
    elif s.loss == "poisson":
        draw = lambda: r.poisson(mu).astype(float)
    else:
        phi = (e * (s.y / e - rate) ** 2 / rate**1.5).mean()
        number, size = e * np.sqrt(rate) / (phi / 2), phi / 2 * np.sqrt(rate)

        def draw():
            n = r.poisson(number)
            y = np.zeros(len(mu))
            y[n > 0] = r.gamma(n[n > 0]) * size[n > 0]
            return y

    perfect = [error(draw()) for _ in range(draws)]
    return error(s.y), [float(v) for v in np.quantile(perfect, [0.5, 0.025, 0.975])]
