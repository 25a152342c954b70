"""The command ``femo``, also as ``python -m forensic_emotion``."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point: Ctrl-C has one answer, also while modules are still imported."""
    try:
        from forensic_emotion.cli import main as femo

        femo()
    except KeyboardInterrupt:
        print("Error: Interrupted.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
