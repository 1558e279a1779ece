"""Makes small models of the engines' fields, to be brought in (lightgbm 4.7.0).

Beside each are some rows of its features, by name, and the scores that LightGBM gives them.
"""

import json
import os

import lightgbm
import numpy as np
import pandas as pd

here = os.path.dirname(os.path.abspath(__file__))
r = np.random.default_rng(1)
n = 2000


def names(*values):
    return pd.Categorical(r.choice(values, n))


def numbers(low, high, missing=0.0):
    v = pd.Series(r.uniform(low, high, n).round(2))
    v[r.random(n) < missing] = np.nan
    return v


policies = pd.DataFrame(
    {
        "branch": names("motor", "contents", "building", "travel"),
        "segment": pd.Categorical(["private"] * n),  # of one value: no tree splits by it
        "age": numbers(18, 80, 0.1),
        "premium": numbers(50, 900),
        "claims_36m": r.integers(0, 4, n).astype(float),
    }
)
relations = pd.DataFrame(
    {
        "main_branch": names("motor", "contents", "building", "travel"),
        "tenure": numbers(0, 200),
        "premium_change": numbers(-0.1, 0.3, 0.4),
        "month_calendar": pd.Categorical(r.integers(1, 13, n).astype(float)),  # a number that is taken for a category
    }
)
risk = 0.02 * (50 - policies.age.fillna(40)) + 0.3 * (policies.branch == "motor") + 0.4 * policies.claims_36m - 2
hazard = 4 * relations.premium_change.fillna(0) - 0.01 * relations.tenure + 0.8 * (relations.month_calendar.astype(float) == 1) - 1
tables = {
    "frequency": ("poisson", policies, r.poisson(np.exp(risk))),
    "severity": ("gamma", policies[["branch", "premium"]], r.gamma(2, 300 + 2 * policies.premium)),
    "lapse": ("binary", relations, (r.random(n) < 1 / (1 + np.exp(-hazard))).astype(int)),
    "buy_liability": ("binary", relations[["main_branch", "tenure"]], (relations.tenure + r.normal(0, 50, n) > 120).astype(int)),
}
for name, (objective, x, y) in tables.items():
    m = lightgbm.train({"objective": objective, "num_leaves": 6, "verbose": -1, "num_threads": 1}, lightgbm.Dataset(x, y), 8)
    m.save_model(os.path.join(here, name + ".txt"))
    rows = x.head(20)
    said = {"rows": json.loads(rows.to_json(orient="records")), "raw": m.predict(rows, raw_score=True).tolist()}
    with open(os.path.join(here, name + ".json"), "w") as f:
        json.dump(said, f)
