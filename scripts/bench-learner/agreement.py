"""Whether `polis predict` says of LightGBM's models what LightGBM says."""

import os
import tempfile

import numpy as np
import pandas as pd

from learners import LightGBM, command

WITHIN = 1e-12


def agree(s, threads):
    """The largest relative difference over all rows of a model of all rows."""
    m, _ = LightGBM(threads).fit(s, np.arange(len(s.y)), 0)
    theirs = m.predict(s.x)
    with tempfile.TemporaryDirectory() as d:
        files = [os.path.join(d, name) for name in ("model.txt", "t.csv", "p.csv")]
        m.booster_.save_model(files[0])
        s.x.to_csv(files[1], index=False)
        command(threads, "predict", "--model", files[0], "--data", files[1], "--out", files[2])
        ours = pd.read_csv(files[2], float_precision="round_trip").prediction.to_numpy()
    worst = float(np.max(np.abs(ours - theirs) / np.abs(theirs)))
    return {"set": s.name, "rows": len(theirs), "worst": worst, "met": worst <= WITHIN}
