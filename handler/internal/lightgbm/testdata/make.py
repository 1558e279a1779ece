"""Makes the models, rows and predictions that the tests compare with (lightgbm 4.7.0)."""

import json
import os

import lightgbm
import numpy as np
import pandas as pd

here = os.path.dirname(os.path.abspath(__file__))
r = np.random.default_rng(1)
n = 1500
x = pd.DataFrame(
    {
        "age": r.integers(18, 80, n).astype(float),
        "power": r.normal(80, 25, n).round(1),
        "bonus": r.integers(0, 20, n) * r.integers(0, 2, n).astype(float),
        "region": pd.Categorical(r.choice(["north", "east", "south", "west", "far"], n)),
        "code": r.integers(0, 70, n),
    }
)
x.loc[r.random(n) < 0.15, "power"] = np.nan
x.loc[r.random(n) < 0.05, "region"] = np.nan
link = 0.02 * (50 - x.age) + x.region.cat.codes * 0.2 + (x.code % 7 == 3) * 0.8 + np.where(x.power.isna(), 0.5, 0.01 * x.power.fillna(0)) - 1
mean = np.exp(link)
targets = {
    "binary": (r.random(n) < 1 / (1 + np.exp(-link))).astype(int),
    "poisson": r.poisson(mean),
    "gamma": r.gamma(2, mean / 2),
    "tweedie": r.poisson(0.4, n) * r.gamma(2, mean / 2),
    "regression": link + r.normal(size=n),
    "zero": r.poisson(mean),
    "forest": r.poisson(mean),
    "known": r.poisson(np.where(x.power.isna(), 3.0, 1.0)),
}
shape = dict(n_estimators=12, num_leaves=15, min_child_samples=10, verbose=-1, random_state=1)
for name, y in targets.items():
    options = dict(shape, objective=name)
    if name == "zero":
        options.update(objective="poisson", zero_as_missing=True)
    if name == "known":  # whether it is known splits signed numbers by an infinite threshold
        options.update(objective="poisson")
        x = x.assign(power=x.power - 80)
    if name == "forest":
        options.update(objective="regression", boosting_type="rf", subsample=0.6, subsample_freq=1)
    m = lightgbm.LGBMModel(**options)
    # Codes that are no data frame's categories have no names in the file.
    m.fit(x, y, categorical_feature=["region"] if name == "binary" else ["region", "code"])
    b = m.booster_
    b.save_model(os.path.join(here, name + ".txt"))
    rows = x.sample(40, random_state=2).reset_index(drop=True)
    rows.loc[0, ["age", "bonus"]] = np.nan
    rows.loc[1, "code"] = 999
    rows.loc[2, "age"] = 0
    codes = rows.assign(region=rows.region.cat.codes.replace(-1, np.nan).astype(float)).astype(float)
    out = {
        "rows": [[None if np.isnan(v) else v for v in row] for row in codes.to_numpy().tolist()],
        "raw": b.predict(rows, raw_score=True).tolist(),
        "prediction": b.predict(rows).tolist(),
        "contributions": b.predict(rows, pred_contrib=True).tolist(),
    }
    with open(os.path.join(here, name + ".json"), "w") as f:
        json.dump(out, f)
