"""Predictions of a fold on disk, so that what has not changed is not fitted again."""

import os
import re
import tempfile

import numpy as np


class Cache:
    def __init__(self, directory, fresh=False):
        self.directory, self.fresh, self.written = directory, fresh, set()

    def predictions(self, learner, s, repeat, k, train, test):
        """The learner's predictions of test and the seconds that its fit took.

        Both are None where it has no loss for the set. The key holds the learner's version
        and the data and folds, not the settings in learners.py: after a change there,
        --fresh. A fresh run writes what it fitted too.
        """
        if not learner.takes(s):
            return None, None
        name = f"{learner.name}-{learner.version()}"
        directory = os.path.join(self.directory, s.name, re.sub(r"[^A-Za-z0-9.]+", "-", name))
        path = os.path.join(directory, f"{s.fingerprint(repeat)}-{repeat}-{k}.npz")
        if (path in self.written or not self.fresh) and os.path.exists(path):
            with np.load(path) as f:
                return f["prediction"], float(f["seconds"])
        prediction, seconds = learner.run(s, train, test, repeat)
        prediction = np.asarray(prediction, float)
        os.makedirs(directory, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, suffix=".tmp", delete=False) as f:
            np.savez(f, prediction=prediction, seconds=seconds)
        os.replace(f.name, path)
        self.written.add(path)
        return prediction, seconds
