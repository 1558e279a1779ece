"""How long fitting and scoring take, ours and the peers' alternating on the same cores."""

import ctypes
import glob
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

import numpy as np

from learners import EBM, ROOT, LightGBM, command, polis, table
from measures import interval, verdict

ROUNDS = 5
BATCH = 1_000_000
SINGLE = 20_000
LEAN = ["--bags=1", "--pairs=0"]

# LightGBM's single rows are called from C, so that Python's overhead is not counted.
LOOP = """
#include <stdint.h>
#include <time.h>
typedef int (*predict)(void *, const void *, int64_t *, double *);
double loop(predict f, void *config, const double *rows, int64_t n, int64_t columns) {
	struct timespec a, b;
	int64_t length;
	double out;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int64_t i = 0; i < n; i++)
		if (f(config, rows + i * columns, &length, &out)) return -1;
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (b.tv_sec - a.tv_sec) + 1e-9 * (b.tv_nsec - a.tv_nsec);
}
"""


def pin(cores):
    """Keeps this process and what it starts on as many cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def fits(s, threads):
    """Seconds and held-out deviance of fitting four fifths, a fold each round."""

    def ours(train, test, more=()):
        learn, args = table(s, train)
        predicted, fit, whole = polis(learn, s.x.iloc[test], [*args, *more], threads)
        return predicted.prediction, fit, whole

    def peer(kind):
        def run(train, test):
            prediction, took = kind(threads).run(s, train, test, 0)
            return prediction, took, took

        return run

    runs = {
        "polis": ours,
        "polis, one bag, no pairs": lambda train, test: ours(train, test, LEAN),
        "lightgbm": peer(LightGBM),
        "interpret EBM": peer(EBM),
    }
    for run in runs.values():  # what is loaded once is not counted
        run(np.arange(0, 2000), np.arange(2000, 2100))
    out = {name: {"fit": [], "command": [], "deviance": []} for name in runs}
    for _, train, test in list(s.splits(0))[:ROUNDS]:
        for name, run in runs.items():
            prediction, fit, whole = run(train, test)
            for key, v in (("fit", fit), ("command", whole), ("deviance", float(s.deviance(test, np.asarray(prediction))))):
                out[name][key].append(v)
    return out


def scores(s, threads):
    """One row with its reasons, and a million rows, of a model of all rows."""
    everything = np.arange(len(s.y))
    batch = np.random.default_rng(1).integers(len(s.y), size=BATCH)
    with tempfile.TemporaryDirectory() as d:
        learn, args = table(s, everything)
        learn.to_csv(f"{d}/train.csv", index=False)
        command(threads, "fit", "--data", f"{d}/train.csv", "--out", f"{d}/m.json", *args)
        s.x.iloc[batch].to_csv(f"{d}/t.csv", index=False)
        m, _ = LightGBM(threads).fit(s, everything, 0)
        m.booster_.save_model(f"{d}/model.txt")
        codes = s.x.copy()
        for c in codes.select_dtypes("category"):
            codes[c] = codes[c].cat.codes
        rows = np.ascontiguousarray(codes.to_numpy(float)[batch])
        theirs = lightgbm(d, rows, m.predict(s.x.iloc[batch[:SINGLE]], raw_score=True), threads)
        env = dict(os.environ, GOMAXPROCS=str(threads), CGO_ENABLED="0")
        go = ["go", "run", "./handler/bench/score", "--model", f"{d}/m.json", "--data", f"{d}/t.csv"]
        said = subprocess.run(go, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {"polis": json.loads(said), "lightgbm": theirs}


def lightgbm(directory, rows, expected, threads):
    """LightGBM's C interface, on the scores before the link as ours are."""
    import lightgbm as package

    lib = ctypes.CDLL(glob.glob(os.path.join(os.path.dirname(package.__file__), "lib", "lib_lightgbm.*"))[0])
    lib.LGBM_GetLastError.restype = ctypes.c_char_p

    def call(name, *args):
        if getattr(lib, name)(*args):
            raise RuntimeError(f"{name}: {lib.LGBM_GetLastError().decode()}")

    booster, config = ctypes.c_void_p(), ctypes.c_void_p()
    made, length = ctypes.c_int(), ctypes.c_int64()
    n, columns = rows.shape
    address = rows.ctypes.data_as(ctypes.c_void_p)
    float64, raw_score = 1, 1
    call("LGBM_BoosterCreateFromModelfile", f"{directory}/model.txt".encode(), ctypes.byref(made), ctypes.byref(booster))
    call("LGBM_BoosterPredictForMatSingleRowFastInit", booster, raw_score, 0, -1, float64, columns, b"num_threads=1", ctypes.byref(config))
    out = np.empty(n)
    answer = out.ctypes.data_as(ctypes.c_void_p)

    rates = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call(
            "LGBM_BoosterPredictForMat", booster, address, float64, n, columns, 1, raw_score, 0, -1,
            f"num_threads={threads}".encode(), ctypes.byref(length), answer,
        )
        rates.append(n / (time.perf_counter() - started))
    if not np.allclose(out[: len(expected)], expected, rtol=1e-9):
        raise RuntimeError("LightGBM's C interface was given other rows than its Python one")

    single = lib.LGBM_BoosterPredictForMatSingleRowFast
    loop = compiled(directory)
    took = []
    for _ in range(ROUNDS):
        if loop:
            seconds = loop(ctypes.cast(single, ctypes.c_void_p), config, address, SINGLE, columns)
        else:
            seconds = python_loop(lib, single, config, address.value, columns, length, answer)
        took.append(1e9 * seconds / SINGLE)
    call("LGBM_FastConfigFree", config)
    call("LGBM_BoosterFree", booster)
    return {"single_ns": statistics.median(took), "batch_rows_per_s": statistics.median(rates), "called_from": "C" if loop else "Python"}


def compiled(directory):
    cc = shutil.which("gcc") or shutil.which("cc")
    if not cc:
        return None
    with open(f"{directory}/loop.c", "w") as f:
        f.write(LOOP)
    subprocess.run([cc, "-O2", "-shared", "-fPIC", "-o", f"{directory}/loop.so", f"{directory}/loop.c"], check=True)
    loop = ctypes.CDLL(f"{directory}/loop.so").loop
    loop.restype = ctypes.c_double
    loop.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 2
    return loop


def python_loop(lib, single, config, address, columns, length, answer):
    """The same without a C compiler: what a call of nothing takes is subtracted."""
    rows = [ctypes.c_void_p(address + 8 * columns * i) for i in range(SINGLE)]
    started = time.perf_counter()
    for row in rows:
        lib.LGBM_GetLastError(config, row, ctypes.byref(length), answer)
    nothing = time.perf_counter()
    for row in rows:
        single(config, row, ctypes.byref(length), answer)
    return time.perf_counter() - nothing - (nothing - started)


def compare(fits, scores):
    """What was to be met: what, figure, must be, met."""
    ours, lean, trees, ebm = (statistics.median(fits[n]["fit"]) for n in fits)
    difference, lo, hi = interval(np.subtract(fits["polis"]["deviance"], fits["interpret EBM"]["deviance"]))
    worse = verdict(lo, hi) == "loss"
    one, many = scores["polis"], scores["lightgbm"]
    single, rate = one["single_ns"] / many["single_ns"], one["batch_rows_per_s"] / many["batch_rows_per_s"]
    return [
        ("fit over EBM's", f"{ours:.2f} s / {ebm:.2f} s = {ours / ebm:.3f}", "<= 0.25", ours / ebm <= 0.25),
        ("deviance - EBM's in these fits", f"{difference:+.5f} ({lo:+.5f} to {hi:+.5f})", "no loss", not worse),
        ("fit over LightGBM's", f"{ours:.2f} s / {trees:.2f} s = {ours / trees:.2f}", "<= 8", ours / trees <= 8),
        ("the same with one bag and no pairs", f"{lean:.2f} s / {trees:.2f} s = {lean / trees:.2f}", "<= 2", lean / trees <= 2),
        ("one row with reasons", f"{one['single_ns']:.0f} ns", "<= 1000", one["single_ns"] <= 1000),
        ("the same over LightGBM's row", f"{one['single_ns']:.0f} / {many['single_ns']:.0f} ns = {single:.3f}", "<= 0.1", single <= 0.1),
        ("rows a second over LightGBM's, a million rows", f"{one['batch_rows_per_s']:,.0f} / {many['batch_rows_per_s']:,.0f} = {rate:.1f}", ">= 5", rate >= 5),
    ]


def show(fits, scores):
    print(f"  {'learner':<24} {'fit s':>7} {'with reading':>12} {'deviance':>9}   medians of {ROUNDS}, alternating")
    for name, v in fits.items():
        whole = f"{statistics.median(v['command']):12.2f}" if name.startswith("polis") else f"{'-':>12}"
        print(f"  {name:<24} {statistics.median(v['fit']):7.2f} {whole} {np.mean(v['deviance']):9.5f}")
    for name, v in scores.items():
        print(f"  {name:<24} one row {v['single_ns']:.0f} ns, a million {v['batch_rows_per_s']:,.0f} rows a second")
