"""Lets the command line run as `python -m pat_core`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; gives its exit status."""
    try:
        from pat_core.cli import run  # noqa: PLC0415 - may be missing, and then is explained
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("pat_core"):
            raise
        sys.stderr.write(
            f"The command line needs the package {missing.name}. "
            'Install it with: python -m pip install -e ".[cli]"\n'
        )
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
