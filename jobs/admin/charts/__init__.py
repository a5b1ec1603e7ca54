"""Charts as SVG made on the server: no script draws them, and no style attribute colours them.

What a chart shows also stands in a table behind "Show numbers". console.js shows the numbers of the
step under the pointer, from that table.
"""

from jobs.admin.charts.frame import ChartMark, Frame, Series
from jobs.admin.charts.lines import lines
from jobs.admin.charts.marks import marks_list
from jobs.admin.charts.sparkline import sparkline
from jobs.admin.charts.stacked import stacked

__all__ = ["ChartMark", "Frame", "Series", "lines", "marks_list", "sparkline", "stacked"]
