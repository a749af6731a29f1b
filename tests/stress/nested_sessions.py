"""Import this before `pytester` runs a session in this process.

When such a session ends, what it has imported is forgotten, and a compiled module may not be loaded
twice. So what the plugin loads late is loaded here, in time.
"""

import joblib
import matplotlib.pyplot
import openTSNE
import pyarrow.parquet

import mislabel.report.stress_page
import mislabel.stress

__all__ = ["joblib", "matplotlib", "mislabel", "openTSNE", "pyarrow"]
