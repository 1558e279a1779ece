"""The learners: each fits rows of a set and predicts others, per unit of exposure.

All are at their defaults; the GLMs, which have none that fit a table with categories, get
one-hot categories and, but for logistic regression, ten quantile bins a number.
"""

import hashlib
import inspect
import os
import re
import subprocess
import tempfile
import time
import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
POLIS = os.path.join(ROOT, "bin", "polis")


class Learner:
    package = None

    def __init__(self, threads):
        self.threads = threads

    def version(self):
        return version(self.package)

    def takes(self, s):
        return True

    def rate(self, s, rows):
        """The target per unit of exposure, and exposure as its weight."""
        if s.exposure is None:
            return s.y[rows], None
        return s.y[rows] / s.exposure[rows], s.exposure[rows]


def clock(fit):
    started = time.perf_counter()
    m = fit()
    return m, time.perf_counter() - started


class LightGBM(Learner):
    name, package = "lightgbm", "lightgbm"

    def run(self, s, train, test, seed):
        m, took = self.fit(s, train, seed)
        return m.predict(s.x.iloc[test]), took

    def fit(self, s, train, seed):
        import lightgbm

        objective = {"poisson": "poisson", "logistic": "binary", "tweedie": "tweedie"}[s.loss]
        y, w = self.rate(s, train)
        m = lightgbm.LGBMModel(objective=objective, random_state=seed, n_jobs=self.threads, verbose=-1)
        return clock(lambda: m.fit(s.x.iloc[train], y, sample_weight=w))


class XGBoost(Learner):
    name, package = "xgboost", "xgboost"

    def run(self, s, train, test, seed):
        import xgboost

        objective = {"poisson": "count:poisson", "logistic": "binary:logistic", "tweedie": "reg:tweedie"}[s.loss]
        y, w = self.rate(s, train)
        m = xgboost.XGBRegressor(objective=objective, random_state=seed, n_jobs=self.threads, enable_categorical=True)
        m, took = clock(lambda: m.fit(s.x.iloc[train], y, sample_weight=w))
        return m.predict(s.x.iloc[test]), took


class HGB(Learner):
    name, package = "sklearn HGB", "scikit-learn"

    def takes(self, s):
        return s.loss != "tweedie"

    def run(self, s, train, test, seed):
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        y, w = self.rate(s, train)
        if s.loss == "logistic":
            m = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
            m, took = clock(lambda: m.fit(s.x.iloc[train], y))
            return m.predict_proba(s.x.iloc[test])[:, 1], took
        m = HistGradientBoostingRegressor(loss="poisson", categorical_features="from_dtype", random_state=seed)
        m, took = clock(lambda: m.fit(s.x.iloc[train], y, sample_weight=w))
        return m.predict(s.x.iloc[test]), took


class GLM(Learner):
    name, package = "sklearn GLM", "scikit-learn"

    def run(self, s, train, test, seed):
        return self.regression(s, s.x, train, test)

    def regression(self, s, x, train, test):
        from sklearn.compose import make_column_selector, make_column_transformer
        from sklearn.linear_model import LogisticRegression, PoissonRegressor, TweedieRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler

        numbers, names = make_column_selector(dtype_include="number"), make_column_selector(dtype_include="category")
        y, w = self.rate(s, train)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a category that a fold has not seen, bins that coincide
            if s.loss == "logistic":
                prepare = make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), names))
                m = make_pipeline(prepare, LogisticRegression(max_iter=1000))
                m, took = clock(lambda: m.fit(x.iloc[train], y))
                return m.predict_proba(x.iloc[test])[:, 1], took
            prepare = make_column_transformer(
                (KBinsDiscretizer(n_bins=10, encode="onehot"), numbers), (OneHotEncoder(handle_unknown="ignore"), names)
            )
            if s.loss == "poisson":
                glm = PoissonRegressor(alpha=1e-4, max_iter=300)
            else:
                glm = TweedieRegressor(power=1.5, alpha=1e-2, link="log", max_iter=300)
            m = make_pipeline(prepare, glm)
            m, took = clock(lambda: m.fit(x.iloc[train], y, **{m.steps[-1][0] + "__sample_weight": w}))
            return m.predict(x.iloc[test]), took


class LogRatios(GLM):
    """Logistic regression with the columns that an analyst of price would make."""

    name = "LR log ratios"

    def takes(self, s):
        return s.ratios is not None

    def run(self, s, train, test, seed):
        return self.regression(s, pd.concat([s.x, s.ratios], axis=1), train, test)


class EBM(Learner):
    name, package = "interpret EBM", "interpret-core"

    def run(self, s, train, test, seed):
        m, took = self.fit(s, train, seed)
        if s.loss == "logistic":
            return m.predict_proba(s.x.iloc[test])[:, 1], took
        return m.predict(s.x.iloc[test]), took

    def fit(self, s, train, seed):
        from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor

        y, w = self.rate(s, train)
        if s.loss == "logistic":
            m = ExplainableBoostingClassifier(random_state=seed, n_jobs=self.threads)
            return clock(lambda: m.fit(s.x.iloc[train], y.astype(int)))
        objective = "poisson_deviance" if s.loss == "poisson" else "tweedie_deviance:variance_power=1.5"
        m = ExplainableBoostingRegressor(objective=objective, random_state=seed, n_jobs=self.threads)
        return clock(lambda: m.fit(s.x.iloc[train], y, sample_weight=w))


class Polis(Learner):
    name = "polis"

    def version(self):
        """Of the program and of how it is called: ours changes more often than peers do."""
        with open(POLIS, "rb") as f:
            h = hashlib.file_digest(f, "sha256")
        h.update(inspect.getsource(inspect.getmodule(type(self))).encode())
        return h.hexdigest()[:12]

    def run(self, s, train, test, seed):
        learn, args = table(s, train)
        predicted, took, _ = polis(learn, s.x.iloc[test], [*args, "--seed", str(seed)], self.threads)
        return predicted.prediction, took


class FrequencySeverity(Polis):
    """The mean cost as claims times their mean amount, which is capped and then loaded.

    The cap is what 98% of the amounts of the training rows are below, the loading what the
    cap cut off on average.
    """

    name = "polis freq x sev"

    def takes(self, s):
        return s.claims is not None

    def run(self, s, train, test, seed):
        score = s.x.iloc[test]
        learn = s.x.iloc[train].assign(__y=s.claims[train], __e=s.exposure[train])
        args = ["--target", "__y", "--seed", str(seed)]
        often, first, _ = polis(learn, score, ["--loss", "poisson", "--exposure", "__e", *args], self.threads)
        rows = train[(s.claims[train] > 0) & (s.y[train] > 0)]
        amount = np.minimum(s.y[rows], np.quantile(s.y[rows], 0.98))
        learn = s.x.iloc[rows].assign(__y=amount / s.claims[rows], __w=s.claims[rows])
        much, second, _ = polis(learn, score, ["--loss", "gamma", "--weight", "__w", *args], self.threads)
        loading = s.y[rows].sum() / amount.sum()
        return often.prediction * much.prediction * loading, first + second


PEERS = {"lightgbm": LightGBM, "xgboost": XGBoost, "hgb": HGB, "glm": GLM, "logratios": LogRatios, "ebm": EBM}


def table(s, rows):
    """What polis fit reads to learn from rows, and the arguments that say so."""
    learn, args = s.x.iloc[rows].assign(__y=s.y[rows]), ["--loss", s.loss, "--target", "__y"]
    if s.exposure is not None:
        learn["__e"] = s.exposure[rows]
        args += ["--exposure", "__e"]
    return learn, args


def polis(learn, score, fit, threads, predict=()):
    """Fits and predicts through files, as a data scientist would.

    Gives the predictions and the seconds of the fit itself, where polis says them, and of
    the whole command with reading the table.
    """
    with tempfile.TemporaryDirectory() as d:
        learn.to_csv(f"{d}/train.csv", index=False)
        score.to_csv(f"{d}/test.csv", index=False)
        said, took = clock(lambda: command(threads, "fit", "--data", f"{d}/train.csv", "--out", f"{d}/m.json", *fit))
        command(threads, "predict", "--model", f"{d}/m.json", "--data", f"{d}/test.csv", "--out", f"{d}/p.csv", *predict)
        return pd.read_csv(f"{d}/p.csv"), fit_seconds(said) or took, took


def command(threads, *args):
    env = dict(os.environ, GOMAXPROCS=str(threads))
    done = subprocess.run([POLIS, *args], capture_output=True, text=True, env=env)
    if done.returncode:
        raise RuntimeError(f"polis {args[0]}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def fit_seconds(said):
    found = re.search(r"^fit_seconds\s+([0-9.eE+-]+)", said, re.M)
    return float(found.group(1)) if found else None
