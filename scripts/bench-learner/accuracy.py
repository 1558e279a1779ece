"""Cross-validation: ours against each peer on the same held-out rows."""

import sys

import numpy as np

import measures
from learners import FrequencySeverity, Polis
from sets import FOLDS


def crossvalidate(s, learners, cache, repeats):
    """What is measured of each learner in each fold, and what the first repeat predicts."""
    folds = {l.name: [] for l in learners if l.takes(s)}
    pooled = {name: np.empty(len(s.y)) for name in folds}
    constant = []
    for repeat in range(repeats):
        for k, train, test in s.splits(repeat):
            print(f"\r{s.name}: repeat {repeat + 1} of {repeats}, fold {k + 1} of {FOLDS} ", end="", file=sys.stderr)
            constant.append(s.deviance(test, np.full(len(test), s.mean(train))))
            for l in learners:
                prediction, seconds = cache.predictions(l, s, repeat, k, train, test)
                if prediction is None:
                    continue
                folds[l.name].append(measured(s, test, prediction) | {"seconds": seconds})
                if repeat == 0:
                    pooled[l.name][test] = prediction
    print(file=sys.stderr)
    return {n: {m: [f[m] for f in v] for m in v[0]} for n, v in folds.items()}, constant, pooled


def measured(s, rows, prediction):
    y, e = s.y[rows], s.at_risk(rows)
    out = {"deviance": float(s.deviance(rows, prediction)), "lift": measures.lift(y, prediction, e)}
    if s.loss == "logistic":
        out["auc"] = measures.auc(y, prediction)
        out["hits"] = measures.captured(y, prediction, e, 0.2) * y.sum() * FOLDS
    else:
        out["gini"] = measures.gini(y, prediction, e)
    return out


def compare(s, folds, constant):
    """Ours minus each other learner, as shares of what the best peer explains."""
    ours = np.array(folds[Polis.name]["deviance"])
    others = {n: np.array(v["deviance"]) for n, v in folds.items() if n != Polis.name}
    peers = {n: v.mean() for n, v in others.items() if n != FrequencySeverity.name}
    explained = np.mean(constant) - min(peers.values())
    rows = []
    for name, theirs in others.items():
        mean, lo, hi = (v / explained for v in measures.interval(ours - theirs))
        row = {"learner": name, "difference": [mean, lo, hi], "verdict": measures.verdict(lo, hi)}
        if name in peers:
            better = name == s.beat
            row["must"] = "better" if better else f"<= {s.margin:.0%}"
            row["met"] = bool(hi < 0 if better else hi <= s.margin)
        rows.append(row)
    return {"constant": float(np.mean(constant)), "explained": float(explained), "best": min(peers, key=peers.get), "rows": rows}


def show(s, folds, compared):
    c = compared
    loss = "logistic, twice the log loss" if s.loss == "logistic" else s.loss
    print(f"\n{s.name}: {len(s.y)} rows, {loss}; constant {c['constant']:.5f}, best peer ({c['best']}) explains {c['explained']:.5f}")
    names = [m for m in ("gini", "auc", "lift", "hits") if m in folds[Polis.name]]
    labels = {"gini": "Gini", "auc": "AUC", "lift": "lift, top tenth", "hits": f"of {int((s.y > 0).sum())} in the top 20%"}
    print(f"  {'learner':<16} {'deviance':>9} {'s cached':>8}" + "".join(f"  {labels[m]:<25}" for m in names) + "  polis - it, of the explained deviance")
    rows = {r["learner"]: r for r in c["rows"]}
    for name, v in folds.items():
        line = f"  {name:<16} {np.mean(v['deviance']):9.5f} {np.median(v['seconds']):8.2f}"
        for m in names:
            mean, lo, hi = measures.interval(v[m])
            d = {"gini": 4, "auc": 4, "lift": 2, "hits": 1}[m]
            line += f"  {f'{mean:.{d}f} ({lo:.{d}f} to {hi:.{d}f})':<25}"
        if name in rows:
            r = rows[name]
            mean, lo, hi = (100 * x for x in r["difference"])
            line += f"  {mean:+6.2f}% ({lo:+.2f} to {hi:+.2f}) {r['verdict']:<4}"
            if "must" in r:
                line += f" must be {r['must']}: {'met' if r['met'] else 'NOT met'}"
        print(line)
    verdicts = [r["verdict"] for r in c["rows"] if "must" in r]
    print("  " + ", ".join(f"{verdicts.count(k)} {w}" for k, w in (("win", "wins"), ("tie", "ties"), ("loss", "losses"))))
