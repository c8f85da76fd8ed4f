"""A virtual environment for `imitation` 1.0.1, whose pins this package's environment can't keep; made once."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PINS = Path(__file__).with_name("imitation.txt")
"""Every distribution that it needs, so that pip has nothing to resolve."""
PYTHONS = ("python3.11", "python3.12")


def interpreter() -> Path:
    """The environment's Python; makes the environment where there is none with these pins.

    Raises:
        SystemExit: where there is no Python 3.11 or 3.12, or pip fails.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rewardtree"
    folder = cache / f"imitation-{hashlib.sha256(PINS.read_bytes()).hexdigest()[:8]}"
    python = folder / "bin" / "python"
    if (folder / "whole").exists():
        return python
    print(f"making a virtual environment for imitation in {folder}, which takes some minutes", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    steps = [
        [_python(), "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile", "--no-deps",
         "-r", str(PINS)],
    ]  # fmt: skip
    for step in steps:
        if subprocess.run(step, check=False).returncode:
            raise SystemExit(f"this failed: {' '.join(step)}; mend what it says and give the command again")
    (folder / "whole").touch()
    return python


def _python() -> str:
    if sys.version_info[:2] in {(3, 11), (3, 12)}:
        return sys.executable
    found = next(filter(None, map(shutil.which, PYTHONS)), None)
    if found is None:
        raise SystemExit("imitation's pins need Python 3.11 or 3.12: install one, so that python3.11 is on the path")
    return found
