"""Whether held-out predictions mean what they say: of one repeat, all folds together."""

import measures
from learners import Polis


def calibrate(s, rate):
    intercept, slope = measures.recalibrate(s, rate)
    deciles = measures.actual_to_expected(s, rate)
    error, perfect = measures.calibration_error(s, rate)
    inside = sum(lo <= 1 <= hi for _, lo, hi in deciles)
    return {
        "intercept": intercept, "slope": slope, "deciles": deciles, "inside": inside,
        "error": error, "perfect": perfect,
        "met": {
            "intercept": intercept[1] <= 0 <= intercept[2],
            "slope": slope[1] <= 1 <= slope[2],
            "deciles": inside >= 8,
        },
    }


def show(s, by_learner):
    print(f"\n{s.name}, calibration of one repeat's held-out predictions")
    print(f"  {'learner':<16} {'slope':<25} {'intercept':<25} {'deciles in':>10}  error, of a perfect model (95%)")
    for name, c in by_learner.items():
        (a, alo, ahi), (b, blo, bhi), (m, plo, phi) = c["intercept"], c["slope"], c["perfect"]
        slope, intercept = f"{b:.3f} ({blo:.3f} to {bhi:.3f})", f"{a:+.3f} ({alo:+.3f} to {ahi:+.3f})"
        print(f"  {name:<16} {slope:<25} {intercept:<25} {c['inside']:>10}  {c['error']:.4f}, {m:.4f} ({plo:.4f} to {phi:.4f})")
    deciles = by_learner[Polis.name]["deciles"]
    print("  ours by decile, actual / expected: " + ", ".join(f"{v:.3f} ({lo:.3f} to {hi:.3f})" for v, lo, hi in deciles))
