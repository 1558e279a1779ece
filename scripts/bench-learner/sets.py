"""The tables that learners are compared on, with what each is judged by."""

import gzip
import hashlib
import os

import numpy as np
import pandas as pd

FOLDS = 5


# Losses, as deviances per row.
def poisson(y, mu):
    ratio = np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / mu), 0)
    return 2 * (ratio - y + mu)


def logistic(y, p):
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return -2 * (y * np.log(p) + (1 - y) * np.log(1 - p))


def tweedie(y, mu, power=1.5):
    a, b = 1 - power, 2 - power
    return 2 * (np.where(y > 0, np.power(y, b), 0) / (a * b) - y * np.power(mu, a) / a + np.power(mu, b) / b)


class Table:
    """Features, and folds that are stratified by what comes of a row."""

    def __init__(self, name, x, strata, outcome):
        self.name, self.x, self.strata = name, x, np.asarray(strata)
        for c in self.x.columns:
            if not pd.api.types.is_numeric_dtype(self.x[c]):
                self.x[c] = self.x[c].astype("category")
        self._outcome, self._hash = outcome, None

    def folds(self, repeat):
        r = np.random.default_rng(1000 + repeat)
        fold = np.empty(len(self.x), int)
        for stratum in np.unique(self.strata):
            rows = np.flatnonzero(self.strata == stratum)
            r.shuffle(rows)
            fold[rows] = np.arange(len(rows)) % FOLDS
        return fold

    def splits(self, repeat):
        fold = self.folds(repeat)
        for k in range(FOLDS):
            yield k, np.flatnonzero(fold != k), np.flatnonzero(fold == k)

    def fingerprint(self, repeat):
        """Names the data and the folds: what was predicted from others is not reused."""
        if self._hash is None:
            self._hash = hashlib.sha256(self.x.to_csv(index=False).encode())
            for part in self._outcome:
                self._hash.update(part)
        h = self._hash.copy()
        h.update(self.folds(repeat).astype("int8").tobytes())
        return h.hexdigest()[:16]


def raw(a):
    return b"-" if a is None else np.ascontiguousarray(a, float).tobytes()


class Set(Table):
    """A table with its target, exposure, loss and measure.

    Margin is the share of the explained deviance by which ours may be worse than a peer;
    beat is the peer that ours must be better than; ratios are further columns that one peer
    of this set alone is given; claims are how many a cost is the sum of.
    """

    def __init__(self, name, x, y, loss, exposure=None, margin=0.10, beat=None, ratios=None, claims=None):
        self.y, self.loss, self.exposure = np.asarray(y, float), loss, exposure
        self.margin, self.beat, self.ratios, self.claims = margin, beat, ratios, claims
        super().__init__(name, x, self.y > 0, [loss.encode(), raw(self.y), raw(exposure)])

    def deviance(self, rows, prediction):
        """Mean per row; prediction is per unit of exposure."""
        y, e = self.y[rows], self.at_risk(rows)
        if self.loss == "poisson":
            return poisson(y, prediction * e).mean()
        if self.loss == "logistic":
            return logistic(y, prediction).mean()
        return np.average(tweedie(y / e, prediction), weights=e)

    def at_risk(self, rows):
        return np.ones(len(rows)) if self.exposure is None else self.exposure[rows]

    def mean(self, rows):
        return self.y[rows].sum() / self.at_risk(rows).sum()


def bemtpl(data):
    d = pd.read_csv(os.path.join(data, "bemtpl97", "beMTPL97.csv.gz"))
    return d, d.drop(columns=["id", "claim", "amount", "average", "nclaims", "expo"])


def frequency(data):
    d, x = bemtpl(data)
    return Set("bemtpl97", x, d.nclaims, "poisson", d.expo.to_numpy(), margin=0.02, beat="sklearn GLM")


def pure_premium(data, capped):
    d, x = bemtpl(data)
    amount = d.amount.fillna(0)
    if capped:
        amount = amount.clip(upper=amount[amount > 0].quantile(0.98))
    name = "purepremium-capped" if capped else "purepremium"
    return Set(name, x, amount, "tweedie", d.expo.to_numpy(), claims=d.nclaims.to_numpy(float))


def eudirectlapse(data):
    d = pd.read_csv(os.path.join(data, "eudirectlapse", "eudirectlapse.csv.gz"))
    ratios = pd.DataFrame({
        "log_final_last": np.log(d.prem_final / d.prem_last),
        "log_final_market": np.log(d.prem_final / d.prem_market),
    })
    return Set("eudirectlapse", d.drop(columns=["lapse"]), d.lapse, "logistic", ratios=ratios)


def coil2000(data):
    with gzip.open(os.path.join(data, "coil2000", "ticdata2000.txt.gz"), "rt") as f:
        rows = [list(map(int, line.split())) for line in f if line.strip()]
    d = pd.DataFrame(rows, columns=[f"v{i + 1}" for i in range(86)])
    return Set("coil2000", d.drop(columns=["v86"]), d.v86, "logistic")


SETS = {
    "eudirectlapse": eudirectlapse,
    "coil2000": coil2000,
    "bemtpl97": frequency,
    "purepremium-capped": lambda data: pure_premium(data, capped=True),
    "purepremium": lambda data: pure_premium(data, capped=False),
}
