"""Fits LightGBM on a table of `go run ./handler/bench/ceiling`, in two ways: fit.py DIR NAME.

default is what LightGBM does by itself. tuned learns slowly and with little freedom, as
portfolios ask for whose outcomes are mostly chance, and stops where a tenth of the
relations, held out, gains no more. Models are saved as text beside the table.
"""

import json
import pathlib
import sys

import lightgbm
import numpy
import pandas

# Beside these LightGBM's own: 100 trees of 31 leaves at a rate of 0.1.
COMMON = {"verbosity": -1, "num_threads": 1, "seed": 1, "deterministic": True}
TUNED = {
    "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 100, "lambda_l2": 10,
    "feature_fraction": 0.5, "bagging_fraction": 0.8, "bagging_freq": 1, "cat_smooth": 50,
}
ROUNDS, PATIENCE = 800, 40


def read(folder, name):
    """The table, and what goes with its rows."""
    shape = json.loads((folder / f"{name}.json").read_text())
    columns = numpy.fromfile(folder / f"{name}.bin", dtype="<f8").reshape(-1, shape["rows"])
    fields = {}
    for values, field in zip(columns, shape["fields"]):
        if field in shape["names"]:
            values = pandas.Categorical.from_codes(values.astype(int), shape["names"][field])
        fields[field] = values
    return pandas.DataFrame(fields), *columns[len(fields):], shape["objective"]


def main(folder, name):
    folder = pathlib.Path(folder)
    x, y, weight, exposure, group, objective = read(folder, name)
    settings = {**COMMON, "objective": objective}

    def rows(which):
        return lightgbm.Dataset(x[which], (y / exposure)[which], weight=(weight * exposure)[which])

    everyone = numpy.ones(len(y), dtype=bool)
    lightgbm.train(settings, rows(everyone)).save_model(folder / f"{name}.default.txt")
    held = numpy.random.default_rng(1).random(int(group.max()) + 1)[group.astype(int)] < 0.1
    learn = rows(~held)
    model = lightgbm.train(
        {**settings, **TUNED}, learn, ROUNDS, valid_sets=[learn.create_valid(x[held], (y / exposure)[held], weight=(weight * exposure)[held])],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    model.save_model(folder / f"{name}.tuned.txt", num_iteration=model.best_iteration)


if __name__ == "__main__":
    main(*sys.argv[1:])
