"""Which faces are in the evidence, where and when, with which expression scores.

Importing this loads no machine-learning library. The way through is ``pipeline.py``; the command
line is ``cli/``.
"""

__version__ = "0.2.0.dev0"
