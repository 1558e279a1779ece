"""Compares `polis fit` with its peers on real data: accuracy, calibration, survival, speed.

scripts/bench-learner/run makes the virtual environment, with versions pinned in
requirements.txt, and starts this. Every learner is at its defaults and gets the same folds,
features and exposure. What a fold's fit predicts is cached, so that after a change of ours
only ours is fitted again. The folds are for measuring: no default is chosen by them.
"""

import argparse
import json
import os
import sys
import traceback

import numpy as np

import accuracy
import agreement
import calibration
import growth
import speed
import survival
from cache import Cache
from learners import PEERS, ROOT, FrequencySeverity, Polis
from sets import SETS

PARTS = ("accuracy", "calibration", "survival", "speed", "agreement", "growth")


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", default=os.path.join(ROOT, "..", "shared", "data"), help="folder of the data sets")
    a.add_argument("--parts", default=",".join(p for p in PARTS if p != "growth"), help=f"of {','.join(PARTS)}")
    a.add_argument("--full", action="store_true", help="all parts")
    a.add_argument("--sets", default=",".join([*SETS, survival.NAME]))
    a.add_argument("--peers", default=",".join([*PEERS, *survival.PEERS]))
    a.add_argument("--repeats", type=int, default=5, help="of the five folds")
    a.add_argument("--forest-repeats", type=int, default=5, help="of them, how many the survival forest takes part in")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--cache", default=os.environ.get("POLIS_BENCH_CACHE", os.path.join(ROOT, "var", "bench-learner", "cache")))
    a.add_argument("--fresh", action="store_true", help="fit again what is in the cache")
    a.add_argument("--fill", action="store_true", help="only fit the peers, into the cache")
    a.add_argument("--json", default="bench-learner.json", help="file for every figure")
    a.add_argument("--out", help="file for the table of results, besides standard output")
    o = a.parse_args()
    o.parts = PARTS if o.full else o.parts.split(",")
    o.sets, o.peers = o.sets.split(","), o.peers.split(",")
    unknown = {*o.parts} - {*PARTS} | {*o.sets} - {*SETS, survival.NAME} | {*o.peers} - {*PEERS, *survival.PEERS}
    if unknown:
        a.error(f"there is no {', '.join(sorted(unknown))}")
    return o


class Bench:
    """One run: its options, every figure, and what was to be met."""

    def __init__(self, o):
        self.o, self.cache = o, Cache(o.cache, o.fresh)
        self.figures, self.targets, self.loaded = {}, [], {}

    def sets(self):
        for name in self.o.sets:
            if name in SETS and self.there(name):
                yield self.set(name)

    def compared(self):
        if not self.peers(PEERS):
            print("bench-learner: accuracy SKIPPED: no peer of it was asked for")
            return
        yield from self.sets()

    def set(self, name):
        if name not in self.loaded:
            self.loaded[name] = SETS[name](self.o.data)
        return self.loaded[name]

    def there(self, name):
        folder = "bemtpl97" if name.startswith("purepremium") else name
        there = os.path.isdir(os.path.join(self.o.data, folder))
        if not there:
            print(f"bench-learner: {name} SKIPPED: there is no {folder} in {self.o.data}")
        return there

    def peers(self, kinds):
        return [kind(self.o.threads) for name, kind in kinds.items() if name in self.o.peers]

    def target(self, part, data, what, figure, must, met):
        self.targets.append({"part": part, "data": data, "what": what, "figure": figure, "must": must, "met": bool(met)})

    def fill(self):
        for s in self.sets():
            accuracy.crossvalidate(s, self.peers(PEERS), self.cache, self.o.repeats)
        if survival.NAME in self.o.sets and self.there(survival.NAME):
            survival.crossvalidate(survival.Survival(self.o.data), self.endings(), self.cache, self.o.repeats)

    def accuracy(self):
        for s in self.compared():
            ours = [Polis(self.o.threads), FrequencySeverity(self.o.threads)]
            folds, constant, _ = accuracy.crossvalidate(s, ours + self.peers(PEERS), self.cache, self.o.repeats)
            compared = accuracy.compare(s, folds, constant)
            accuracy.show(s, folds, compared)
            absent = [l.name for l in self.peers(PEERS) if not l.takes(s)]
            if absent:
                print(f"  not for this set: {', '.join(absent)}")
            self.figures.setdefault("accuracy", {})[s.name] = compared | {"folds": folds}
            ours = np.mean(folds[Polis.name]["deviance"])
            for r in compared["rows"]:
                if "must" in r:
                    figure = f"{ours:.5f} to {np.mean(folds[r['learner']]['deviance']):.5f}: {share(r['difference'])}, {r['verdict']}"
                    self.target("accuracy", s.name, f"deviance against {r['learner']}", figure, r["must"], r["met"])

    def calibration(self):
        for s in self.sets():
            learners = [Polis(self.o.threads), FrequencySeverity(self.o.threads), *self.peers(PEERS)]
            _, _, pooled = accuracy.crossvalidate(s, learners, self.cache, 1)
            got = {name: calibration.calibrate(s, rate) for name, rate in pooled.items()}
            calibration.show(s, got)
            self.figures.setdefault("calibration", {})[s.name] = got
            c = got[Polis.name]
            for what, must in (("slope", "1 inside"), ("intercept", "0 inside")):
                self.target("calibration", s.name, what, "{:.3f} ({:.3f} to {:.3f})".format(*c[what]), must, c["met"][what])
            figure = f"{c['inside']} of 10; error {c['error']:.4f}, of a perfect model {c['perfect'][0]:.4f}"
            self.target("calibration", s.name, "deciles inside", figure, ">= 8", c["met"]["deciles"])

    def endings(self):
        return [(l, self.o.forest_repeats if l.name == survival.Forest.name else self.o.repeats) for l in self.peers(survival.PEERS)]

    def survival(self):
        if survival.NAME not in self.o.sets or not self.there(survival.NAME):
            return
        if not self.endings():
            print("bench-learner: survival SKIPPED: no peer of it was asked for")
            return
        s = survival.Survival(self.o.data)
        learners = [(survival.Hazard(self.o.threads), self.o.repeats), *self.endings()]
        folds, constant = survival.crossvalidate(s, learners, self.cache, self.o.repeats)
        compared = survival.compare(folds)
        survival.show(s, folds, constant, compared)
        self.figures["survival"] = {"folds": folds, "constant": constant, "compared": compared}
        for r in compared:
            figure = "{0:+.5f} ({1:+.5f} to {2:+.5f}), ".format(*r["difference"]) + r["verdict"]
            self.target("survival", s.name, f"{r['measure']} against {r['best']}", figure, "no loss", r["met"])

    def speed(self):
        if not self.there("bemtpl97"):
            return
        s = self.set("bemtpl97")
        print(f"\nspeed: load of the machine before it {os.getloadavg()[0]:.1f}; {self.o.threads} cores")
        fits, scores = speed.fits(s, self.o.threads), speed.scores(s, self.o.threads)
        self.figures["speed"] = {"fits": fits, "scores": scores, "targets": speed.compare(fits, scores)}
        speed.show(fits, scores)
        for t in self.figures["speed"]["targets"]:
            self.target("speed", s.name, *t)

    def agreement(self):
        for s in self.sets():
            a = agreement.agree(s, self.o.threads)
            print(f"{s.name}: polis predict of LightGBM's model.txt is within {a['worst']:.1e} on {a['rows']} rows")
            self.figures.setdefault("agreement", []).append(a)
            self.target("agreement", s.name, "LightGBM's model.txt", f"{a['worst']:.1e}", f"<= {agreement.WITHIN}", a["met"])

    def growth(self):
        sizes = growth.grow(self.o.threads)
        g = growth.compare(sizes)
        print("\ngrowth: made rows, seconds of the fit, of the command, peak MiB")
        for z in sizes:
            print(f"  {z['rows']:>9} {z['fit']:9.2f} {z['command']:9.2f} {z['peak'] / 2**20:9.0f}")
        self.figures["growth"] = {"sizes": sizes} | g
        ratios = ", ".join(f"{v:.2f}" for v in g["growth"])
        self.target("growth", "made", "seconds a row, 100k to 1M to 5M rows", f"x {ratios}", "<= 1", g["linear"])
        self.target("growth", "made", "peak bytes a row beyond 64 MiB, at 5M", f"{g['bytes']:.0f}", "<= 100", g["small"])


def share(d):
    return "{:+.2f}% ({:+.2f} to {:+.2f})".format(*(100 * v for v in d))


def markdown(targets):
    lines = ["| part | data | what | figure | must be | met |", "|---|---|---|---|---|---|"]
    for t in targets:
        lines.append("| {part} | {data} | {what} | {figure} | {must} | {answer} |".format(answer="yes" if t["met"] else "**no**", **t))
    return "\n".join(lines) + "\n"


def main():
    o = arguments()
    if not os.path.isdir(o.data):
        print(f"bench-learner: SKIPPED: there is no data in {o.data}")
        return
    speed.pin(o.threads)
    b = Bench(o)
    if o.fill:
        b.fill()
        return
    versions = {l.name: f"{l.package} {l.version()}" for l in b.peers(PEERS | survival.PEERS)}
    print("; ".join(f"{name}: {v}" for name, v in versions.items()))
    failed = []
    for part in o.parts:
        try:
            getattr(b, part)()
        except Exception:  # the other parts are worth having all the same
            failed.append(part)
            print(f"\nbench-learner: {part} FAILED", file=sys.stderr)
            traceback.print_exc()
    table = markdown(b.targets)
    print("\n" + table)
    if o.out:
        with open(o.out, "w") as f:
            f.write(table)
    with open(o.json, "w") as f:
        json.dump({"versions": versions, "targets": b.targets} | b.figures, f, indent=1)
    if failed:
        sys.exit(f"bench-learner: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
