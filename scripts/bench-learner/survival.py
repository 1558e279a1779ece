"""Surrender among competing ends: incidence by 20 and 40 quarters, ours against its peers.

Every row in force is censored on the one day that the data end, so that who can be seen
for how long depends on the issue date alone: the censoring weights are Kaplan-Meier's by
issue year, and an issue year of which nobody can be seen up to a horizon is not judged
there. They are computed once, from all rows: they measure, nothing learns from them.
"""

import os
import sys

import numpy as np
import pandas as pd

import measures
from learners import Learner, Polis, clock, polis
from sets import FOLDS, Table, raw

NAME = "uslapseagent"
HORIZONS = (20, 40)
CAUSES = ("surrender", "death", "other")


class Survival(Table):
    def __init__(self, data):
        d = pd.read_csv(os.path.join(data, NAME, "uslapseagent.csv.gz"))
        issued = pd.to_datetime(d["issue.date"])
        x = d.drop(columns=["issue.date", "duration", "DJIA", "termination.cause", "allcause", *CAUSES])
        x["issue.quarter"] = issued.dt.year + (issued.dt.quarter - 1) / 4
        self.year, self.duration = issued.dt.year.to_numpy(), d.duration.to_numpy(float)
        self.ends = d[list(CAUSES)].astype(int)
        # 0 is in force, else the place in CAUSES, from 1.
        self.cause = self.ends.to_numpy() @ np.arange(1, 1 + len(CAUSES))
        super().__init__(NAME, x, self.cause, [b"survival", raw(self.duration), raw(self.cause)])
        self.quarters = np.ceil(self.duration).clip(1)
        self.weights = {h: self._weights(h) for h in HORIZONS}

    def _weights(self, horizon):
        """One over the chance of being seen up to the end or the horizon; 0 if not seen."""
        w = np.zeros(len(self.x))
        for year in np.unique(self.year):
            rows = np.flatnonzero(self.year == year)
            duration, cause = self.duration[rows], self.cause[rows]
            if duration.max() <= horizon:
                continue
            at, seen = censoring(duration, cause)
            stays, ended = duration > horizon, (cause > 0) & (duration <= horizon)
            w[rows[stays]] = 1 / seen[np.searchsorted(at, horizon, side="right")]
            w[rows[ended]] = 1 / seen[np.searchsorted(at, duration[ended], side="left")]
        return w

    def surrendered(self, rows, horizon):
        return ((self.cause[rows] == 1) & (self.duration[rows] <= horizon)).astype(float)

    def constant(self, rows, horizon):
        return np.average(self.surrendered(rows, horizon), weights=self.weights[horizon][rows])

    def brier(self, rows, incidence, horizon):
        w = self.weights[horizon][rows]
        judged = len(rows) - np.isin(self.year[rows], self.unseen(horizon)).sum()
        return float((w * (self.surrendered(rows, horizon) - incidence) ** 2).sum() / judged)

    def auc(self, rows, incidence, horizon):
        """Cases surrendered by the horizon; controls did not, ended otherwise or in force."""
        w, y = self.weights[horizon][rows], self.surrendered(rows, horizon)
        return measures.auc(y, incidence, w * y, w * (1 - y))

    def unseen(self, horizon):
        return [y for y in np.unique(self.year) if self.duration[self.year == y].max() <= horizon]


def censoring(duration, cause):
    """Times of censoring, and Kaplan-Meier's chance of still being seen before and after.

    Where a row ends as another is censored, the end comes first.
    """
    at, lost = np.unique(duration[cause == 0], return_counts=True)
    risk = len(duration) - np.searchsorted(np.sort(duration), at, side="left")
    ended = np.sort(duration[cause > 0])
    risk = risk - (np.searchsorted(ended, at, side="right") - np.searchsorted(ended, at, side="left"))
    return at, np.append(1, np.cumprod(1 - lost / risk))


def incidence(hazards):
    """The first cause's at the horizons, of all causes' cumulative hazards by quarter.

    Hazards have a row each, and a column for 0 and each quarter to the last horizon; within
    a quarter the causes share what ends as they share the hazard.
    """
    steps = [np.diff(h, axis=1) for h in hazards]
    every = sum(steps)
    alive = np.exp(-np.cumsum(every, axis=1) + every)
    share = np.divide(steps[0], every, out=np.zeros_like(every), where=every > 0)
    by = np.cumsum(alive * -np.expm1(-every) * share, axis=1)
    return np.column_stack([by[:, h - 1] for h in HORIZONS])


QUARTERS = np.arange(max(HORIZONS) + 1)


class Cox(Learner):
    """A proportional hazards model for each cause, with continuous durations."""

    name, package = "Cox by cause", "lifelines"

    def run(self, s, train, test, seed):
        from lifelines import CoxPHFitter

        x = pd.get_dummies(s.x, drop_first=True, dtype=float)
        hazards, seconds = [], 0
        for c in CAUSES:
            learn = x.iloc[train].assign(__t=s.duration[train], __e=s.ends[c].to_numpy()[train])
            m, took = clock(lambda: CoxPHFitter().fit(learn, "__t", "__e"))
            hazards.append(m.predict_cumulative_hazard(x.iloc[test], times=QUARTERS).to_numpy().T)
            seconds += took
        return incidence(hazards), seconds


class Forest(Learner):
    """A random survival forest for surrender and one for the other ends together.

    No maintained Python package has a forest for competing risks: this one combines hazards
    by cause as the Cox models do. Durations are rounded up to whole
    quarters: with their 5,500 values a forest would not fit into memory.
    """

    name, package = "forest by cause", "scikit-survival"

    def run(self, s, train, test, seed):
        from sksurv.ensemble import RandomSurvivalForest
        from sksurv.util import Surv

        x = pd.get_dummies(s.x, drop_first=True, dtype=float)
        hazards, seconds = [], 0
        for ended in (s.cause == 1, s.cause > 1):
            y = Surv.from_arrays(ended[train], s.quarters[train])
            m = RandomSurvivalForest(random_state=seed, n_jobs=self.threads)
            m, took = clock(lambda: m.fit(x.iloc[train], y))
            h = m.predict_cumulative_hazard_function(x.iloc[test], return_array=True)
            before = np.searchsorted(m.unique_times_, QUARTERS, side="right")
            hazards.append(np.column_stack([np.zeros(len(h)), h])[:, before])
            seconds += took
        return incidence(hazards), seconds


class Hazard(Polis):
    """Durations as they are: polis makes whole quarters of them itself."""

    def run(self, s, train, test, seed):
        learn = pd.concat([s.x, s.ends], axis=1).assign(duration=s.duration).iloc[train]
        args = ["--loss", "hazard", "--target", "surrender", "--competing", "death,other", "--duration", "duration", "--seed", str(seed)]
        predicted, took, _ = polis(learn, s.x.iloc[test], args, self.threads, ["--horizon", ",".join(map(str, HORIZONS))])
        return predicted[[f"incidence_{h}" for h in HORIZONS]], took


PEERS = {"cox": Cox, "forest": Forest}


def crossvalidate(s, learners, cache, repeats):
    """Brier score and AUC of each learner by fold; learners are with their own repeats."""
    folds, constant = {l.name: {} for l, _ in learners}, {f"brier {h}": [] for h in HORIZONS}
    for repeat in range(repeats):
        for k, train, test in s.splits(repeat):
            print(f"\r{s.name}: repeat {repeat + 1} of {repeats}, fold {k + 1} of {FOLDS} ", end="", file=sys.stderr)
            for h in HORIZONS:
                constant[f"brier {h}"].append(s.brier(test, s.constant(train, h), h))
            for l, most in learners:
                if repeat >= most:
                    continue
                prediction, seconds = cache.predictions(l, s, repeat, k, train, test)
                got = {"seconds": seconds}
                for i, h in enumerate(HORIZONS):
                    got[f"brier {h}"] = s.brier(test, prediction[:, i], h)
                    got[f"auc {h}"] = s.auc(test, prediction[:, i], h)
                for m, v in got.items():
                    folds[l.name].setdefault(m, []).append(v)
    print(file=sys.stderr)
    return folds, constant


def compare(folds):
    """Ours against the better peer by each measure: as good unless the interval says worse."""
    out = []
    for m in [f"{what} {h}" for what in ("brier", "auc") for h in HORIZONS]:
        sign = -1 if m.startswith("auc") else 1  # less is better
        peers = {n: v for n, v in folds.items() if n != Hazard.name}
        best = min(peers, key=lambda n: sign * np.mean(peers[n][m]))
        theirs = np.array(peers[best][m])
        mean, lo, hi = measures.interval(np.array(folds[Hazard.name][m])[: len(theirs)] - theirs)
        word = measures.verdict(*sorted((sign * lo, sign * hi)))
        out.append({"measure": m, "best": best, "difference": [mean, lo, hi], "verdict": word, "met": word != "loss"})
    return out


def show(s, folds, constant, compared):
    names = [f"{what} {h}" for h in HORIZONS for what in ("brier", "auc")]
    print(f"\n{s.name}: {len(s.x)} rows, incidence of surrender at {HORIZONS[0]} and {HORIZONS[1]} quarters")
    print(f"  {'learner':<16} {'fits':>4} {'fit s':>7}" + "".join(f"  {n:<26}" for n in names))
    for name, v in folds.items():
        cells = ("{:.5f} ({:.5f} to {:.5f})".format(*measures.interval(v[n])) for n in names)
        print(f"  {name:<16} {len(v['seconds']):>4} {np.median(v['seconds']):7.2f}" + "".join(f"  {c:<26}" for c in cells))
    print(f"  {'constant':<29}" + "".join(f"  {np.mean(constant[n]):<26.5f}" if n in constant else f"  {0.5:<26}" for n in names))
    for r in compared:
        print("  {measure}: polis - {best} {0:+.5f} ({1:+.5f} to {2:+.5f}) {verdict}".format(*r["difference"], **r))
