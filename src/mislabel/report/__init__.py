"""Reports: a benchmark as one self-contained HTML page, and its figures one by one.

Matplotlib is loaded when a page or a figure is made, not before.
"""

from mislabel.report.page import write_benchmark_page

__all__ = ["write_benchmark_page"]
