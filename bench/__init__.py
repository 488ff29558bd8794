"""The benchmark: `python -m bench [NAME...]` measures the console beside real things and judges by a table of budgets."""
