"""How fit time and memory grow with the rows of a made table of ten features."""

import os
import re
import subprocess
import tempfile
import time

import numpy as np
import pandas as pd

from learners import POLIS, fit_seconds

SIZES = (100_000, 1_000_000, 5_000_000)
CHUNK = 100_000


def made(seed):
    """A chunk of policies: six numbers, four names, years at risk, claims."""
    r = np.random.default_rng(seed)
    d = pd.DataFrame({
        "age": r.integers(18, 90, CHUNK),
        "power": r.integers(30, 250, CHUNK),
        "years": r.integers(0, 25, CHUNK),
        "bonus": r.integers(0, 23, CHUNK),
        "value": r.lognormal(9.5, 0.5, CHUNK).round(0),
        "density": r.lognormal(5, 1.2, CHUNK).round(1),
        "fuel": r.choice(["petrol", "diesel", "electric"], CHUNK, p=[0.55, 0.4, 0.05]),
        "use": r.choice(["private", "work"], CHUNK, p=[0.9, 0.1]),
        "cover": r.choice(["basic", "limited", "full"], CHUNK),
        "area": np.char.add("a", r.integers(0, 60, CHUNK).astype(str)),
    })
    area = np.random.default_rng(0).normal(0, 0.2, 60)[d.area.str[1:].astype(int)]
    link = -2 + 0.6 * np.exp(-(d.age - 18) / 8) + 0.05 * d.bonus + 0.002 * d.power + 0.1 * (d.fuel == "diesel") + area
    d["exposure"] = np.maximum(r.random(CHUNK), 0.01).round(3)
    d["claims"] = r.poisson(np.exp(link) * d.exposure)
    return d


def grow(threads):
    out = []
    with tempfile.TemporaryDirectory() as d:
        path, rows = f"{d}/made.csv", 0
        for size in SIZES:
            while rows < size:
                made(rows).to_csv(path, mode="a", index=False, header=rows == 0)
                rows += CHUNK
            out.append({"rows": size} | measured(path, threads))
    return out


def measured(path, threads):
    """Seconds and peak memory: the kernel's high-water mark, read until the end.

    What wait4 reports would count this process's own memory before polis replaced it.
    """
    fit = [POLIS, "fit", "--data", path, "--target", "claims", "--exposure", "exposure", "--loss", "poisson", "--out", path + ".json"]
    started, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        p = subprocess.Popen(fit, stdout=said, stderr=errors, env=dict(os.environ, GOMAXPROCS=str(threads)))
        while p.poll() is None:
            with open(f"/proc/{p.pid}/status") as f:
                found = re.search(r"VmHWM:\s+(\d+) kB", f.read())
            peak = int(found.group(1)) * 1024 if found else peak
            time.sleep(0.01)
        took = time.perf_counter() - started
        for f in (said, errors):
            f.seek(0)
        if p.returncode:
            raise RuntimeError(f"polis fit: {errors.read()[-2000:]}")
        return {"fit": fit_seconds(said.read()) or took, "command": took, "peak": peak}


def compare(sizes):
    """Seconds a row from each size to the next, and memory at the last."""
    per_row = [s["fit"] / s["rows"] for s in sizes]
    last = sizes[-1]
    return {
        "growth": [b / a for a, b in zip(per_row, per_row[1:])],
        "linear": all(b <= a for a, b in zip(per_row, per_row[1:])),
        "bytes": (last["peak"] - 64 * 2**20) / last["rows"],
        "small": last["peak"] <= 100 * last["rows"] + 64 * 2**20,
    }
