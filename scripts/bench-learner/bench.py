"""Compares `polis fit` with its peers by cross-validation, everyone at their defaults.

scripts/bench-learner/run makes the virtual environment, with versions pinned in
requirements.txt, and starts this. Every learner gets the same folds, features and
exposure; the mean paired difference to each peer has a 95% interval with the correction
of Nadeau and Bengio (2003) for folds that share rows.
"""

import argparse
import gzip
import json
import math
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import pandas as pd

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


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


class Set:
    """A table with its target, exposure, loss and measure."""

    def __init__(self, name, x, y, loss, exposure=None):
        self.name, self.x, self.y, self.loss, self.exposure = name, x, np.asarray(y, float), loss, exposure
        for c in self.x.columns:
            if not pd.api.types.is_numeric_dtype(self.x[c]):
                self.x[c] = self.x[c].astype("category")

    def deviance(self, rows, prediction):
        """Mean per row; prediction is per unit of exposure."""
        y = self.y[rows]
        e = np.ones(len(rows)) if self.exposure is None else self.exposure[rows]
        if self.loss == "poisson":
            return poisson(y, prediction * e).mean()
        if self.loss == "logistic":
            return logistic(y, prediction).mean()
        return np.average(tweedie(y / e, prediction), weights=e)

    def mean(self, rows):
        if self.exposure is None:
            return self.y[rows].mean()
        return self.y[rows].sum() / self.exposure[rows].sum()


def bemtpl(data):
    d = pd.read_csv(os.path.join(data, "bemtpl97", "beMTPL97.csv.gz"))
    x = d.drop(columns=["id", "claim", "amount", "average", "nclaims", "expo"])
    return d, x


def sets(data, names):
    out = []
    for name in names:
        if name == "bemtpl97":
            d, x = bemtpl(data)
            out.append(Set(name, x, d.nclaims, "poisson", d.expo.to_numpy()))
        elif name.startswith("purepremium"):
            d, x = bemtpl(data)
            amount = d.amount.fillna(0)
            if name.endswith("-capped"):
                amount = amount.clip(upper=amount[amount > 0].quantile(0.98))
            out.append(Set(name, x, amount, "tweedie", d.expo.to_numpy()))
        elif name == "eudirectlapse":
            d = pd.read_csv(os.path.join(data, "eudirectlapse", "eudirectlapse.csv.gz"))
            out.append(Set(name, d.drop(columns=["lapse"]), d.lapse, "logistic"))
        elif name == "coil2000":
            with gzip.open(os.path.join(data, "coil2000", "ticdata2000.txt.gz"), "rt") as f:
                rows = [list(map(int, line.split())) for line in f if line.strip()]
            d = pd.DataFrame(rows, columns=[f"v{i + 1}" for i in range(86)])
            out.append(Set(name, d.drop(columns=["v86"]), d.v86, "logistic"))
        else:
            sys.exit(f"bench-learner: no set {name}")
    return out


# Learners: fit on rows of a set, predict others per unit of exposure.
class Polis:
    name = "polis"

    def __init__(self, threads):
        self.threads = threads

    def run(self, s, train, test, seed):
        with tempfile.TemporaryDirectory() as d:
            learn, score = s.x.iloc[train].copy(), s.x.iloc[test]
            learn["__y"] = s.y[train]
            args = ["--loss", s.loss, "--target", "__y", "--seed", str(seed)]
            if s.exposure is not None:
                learn["__e"] = s.exposure[train]
                args += ["--exposure", "__e"]
            learn.to_csv(f"{d}/train.csv", index=False)
            score.to_csv(f"{d}/test.csv", index=False)
            polis = [os.path.join(ROOT, "bin", "polis")]
            env = dict(os.environ, GOMAXPROCS=str(self.threads))
            started = time.perf_counter()
            subprocess.run(polis + ["fit", "--data", f"{d}/train.csv", "--out", f"{d}/m.json"] + args, check=True, capture_output=True, env=env)
            took = time.perf_counter() - started
            subprocess.run(polis + ["predict", "--model", f"{d}/m.json", "--data", f"{d}/test.csv", "--out", f"{d}/p.csv"], check=True, capture_output=True, env=env)
            return pd.read_csv(f"{d}/p.csv").prediction.to_numpy(), took


class Peer:
    def __init__(self, threads):
        self.threads = threads

    def codes(self, x):
        x = x.copy()
        for c in x.columns:
            if isinstance(x[c].dtype, pd.CategoricalDtype):
                x[c] = x[c].cat.codes.astype(float)
        return x


class LightGBM(Peer):
    name = "lightgbm"

    def run(self, s, train, test, seed):
        import lightgbm

        objective = {"poisson": "poisson", "logistic": "binary", "tweedie": "tweedie"}[s.loss]
        y, w = s.y[train], None
        if s.exposure is not None:
            y, w = y / s.exposure[train], s.exposure[train]
        started = time.perf_counter()
        m = lightgbm.LGBMModel(objective=objective, random_state=seed, n_jobs=self.threads, verbose=-1)
        m.fit(s.x.iloc[train], y, sample_weight=w)
        took = time.perf_counter() - started
        return m.predict(s.x.iloc[test]), took


class XGBoost(Peer):
    name = "xgboost"

    def run(self, s, train, test, seed):
        import xgboost

        objective = {"poisson": "count:poisson", "logistic": "binary:logistic", "tweedie": "reg:tweedie"}[s.loss]
        y, w = s.y[train], None
        if s.exposure is not None:
            y, w = y / s.exposure[train], s.exposure[train]
        started = time.perf_counter()
        m = xgboost.XGBRegressor(objective=objective, random_state=seed, n_jobs=self.threads, enable_categorical=True)
        m.fit(s.x.iloc[train], y, sample_weight=w)
        took = time.perf_counter() - started
        return m.predict(s.x.iloc[test]), took


class HGB(Peer):
    name = "sklearn HGB"

    def run(self, s, train, test, seed):
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        if s.loss == "tweedie":
            return None, 0  # it has no such loss
        started = time.perf_counter()
        if s.loss == "logistic":
            m = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
            m.fit(s.x.iloc[train], s.y[train])
            took = time.perf_counter() - started
            return m.predict_proba(s.x.iloc[test])[:, 1], took
        m = HistGradientBoostingRegressor(loss="poisson", categorical_features="from_dtype", random_state=seed)
        e = s.exposure[train]
        m.fit(s.x.iloc[train], s.y[train] / e, sample_weight=e)
        took = time.perf_counter() - started
        return m.predict(s.x.iloc[test]), took


class GLM(Peer):
    name = "sklearn GLM"

    def run(self, s, train, test, seed):
        from sklearn.compose import make_column_selector, make_column_transformer
        from sklearn.linear_model import LogisticRegression, PoissonRegressor, TweedieRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler

        import warnings

        warnings.filterwarnings("ignore")
        numbers, names = make_column_selector(dtype_include="number"), make_column_selector(dtype_include="category")
        if s.loss == "logistic":
            prepare = make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), names))
            m = make_pipeline(prepare, LogisticRegression(max_iter=1000))
            started = time.perf_counter()
            m.fit(s.x.iloc[train], s.y[train])
            return m.predict_proba(s.x.iloc[test])[:, 1], time.perf_counter() - started
        prepare = make_column_transformer(
            (KBinsDiscretizer(n_bins=10, encode="onehot"), numbers), (OneHotEncoder(handle_unknown="ignore"), names)
        )
        glm = PoissonRegressor(alpha=1e-4, max_iter=300) if s.loss == "poisson" else TweedieRegressor(power=1.5, alpha=1e-2, link="log", max_iter=300)
        m = make_pipeline(prepare, glm)
        e = s.exposure[train]
        started = time.perf_counter()
        m.fit(s.x.iloc[train], s.y[train] / e, **{m.steps[-1][0] + "__sample_weight": e})
        return m.predict(s.x.iloc[test]), time.perf_counter() - started


class EBM(Peer):
    name = "interpret EBM"

    def run(self, s, train, test, seed):
        from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor

        started = time.perf_counter()
        if s.loss == "logistic":
            m = ExplainableBoostingClassifier(random_state=seed, n_jobs=self.threads)
            m.fit(s.x.iloc[train], s.y[train].astype(int))
            return m.predict_proba(s.x.iloc[test])[:, 1], time.perf_counter() - started
        objective = "poisson_deviance" if s.loss == "poisson" else "tweedie_deviance:variance_power=1.5"
        m = ExplainableBoostingRegressor(objective=objective, random_state=seed, n_jobs=self.threads)
        e = s.exposure[train]
        m.fit(s.x.iloc[train], s.y[train] / e, sample_weight=e)
        took = time.perf_counter() - started
        return m.predict(s.x.iloc[test]), took


def folds(s, repeat, k=5):
    """Stratified by whether there is an event."""
    r = np.random.default_rng(1000 + repeat)
    fold = np.empty(len(s.y), int)
    for event in (False, True):
        rows = np.flatnonzero((s.y > 0) == event)
        r.shuffle(rows)
        fold[rows] = np.arange(len(rows)) % k
    return fold


def interval(d, k=5):
    """Mean difference with its 95% interval (Nadeau and Bengio 2003)."""
    from scipy.stats import t

    d = np.asarray(d)
    n = len(d)
    se = math.sqrt((1 / n + 1 / (k - 1)) * d.var(ddof=1)) if n > 1 else math.inf
    q = t.ppf(0.975, n - 1) if n > 1 else math.inf
    return d.mean(), d.mean() - q * se, d.mean() + q * se


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", default=os.path.join(ROOT, "..", "shared", "data"))
    a.add_argument("--sets", default="bemtpl97,purepremium,purepremium-capped,eudirectlapse,coil2000")
    a.add_argument("--peers", default="lightgbm,xgboost,hgb,glm,ebm")
    a.add_argument("--repeats", type=int, default=5)
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--json", default="bench-learner.json")
    o = a.parse_args()
    if not os.path.isdir(o.data):
        print(f"bench-learner: SKIPPED: there is no data in {o.data}")
        return
    kinds = {"lightgbm": LightGBM, "xgboost": XGBoost, "hgb": HGB, "glm": GLM, "ebm": EBM}
    result = {}
    for s in sets(o.data, o.sets.split(",")):
        learners = [Polis(o.threads)] + [kinds[p](o.threads) for p in o.peers.split(",")]
        losses, times, constant = {l.name: [] for l in learners}, {l.name: [] for l in learners}, []
        for repeat in range(o.repeats):
            fold = folds(s, repeat)
            for k in range(5):
                train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
                constant.append(s.deviance(test, np.full(len(test), s.mean(train))))
                for l in learners:
                    p, took = l.run(s, train, test, repeat)
                    if p is not None:
                        losses[l.name].append(s.deviance(test, p))
                        times[l.name].append(took)
                print(f"\r{s.name}: repeat {repeat + 1} of {o.repeats}, fold {k + 1} of 5 ", end="", file=sys.stderr)
        print(file=sys.stderr)
        ours = np.array(losses["polis"])
        best = min(np.mean(v) for n, v in losses.items() if n != "polis" and v)
        explained = np.mean(constant) - best
        print(f"\n{s.name}: {len(s.y)} rows, {s.loss}; constant {np.mean(constant):.5f}, best peer explains {explained:.5f}")
        print(f"  {'learner':<14} {'deviance':>9} {'fit s':>7}   polis - it, share of the explained deviance, 95% interval")
        for name, v in losses.items():
            if not v:
                print(f"  {name:<14} has no such loss")
                continue
            line = f"  {name:<14} {np.mean(v):9.5f} {np.median(times[name]):7.2f}"
            if name != "polis":
                m, lo, hi = interval(ours - np.array(v))
                verdict = "win" if hi < 0 else "loss" if lo > 0 else "tie"
                line += f"   {100 * m / explained:+6.2f}% ({100 * lo / explained:+.2f} to {100 * hi / explained:+.2f})  {verdict}"
            print(line)
        result[s.name] = {"constant": constant, "losses": losses, "seconds": times}
    with open(o.json, "w") as f:
        json.dump(result, f)


if __name__ == "__main__":
    main()
