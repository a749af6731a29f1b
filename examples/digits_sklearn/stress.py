"""What wrong labels do to a scikit-learn pipeline that reads handwritten digits."""

import sys

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from mislabel.stress import decide, run

pipeline = make_pipeline(StandardScaler(), SVC())
suite = sys.argv[1] if len(sys.argv) > 1 else "smoke"
results = run(pipeline, "digits", suite=suite, thresholds=["drop <= 0.1"], out="runs/digits")
verdict = decide(results, results.thresholds)
for decision in verdict.decisions:
    print(f"{decision.state}: {decision.text}: {decision.reason}")
sys.exit(verdict.exit_status)
