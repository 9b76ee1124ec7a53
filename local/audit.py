"""`make audit-dependencies`: asks the advisory service about every package in every lock file.

It needs the network. What the service could not be asked about is no pass: it is said, and the exit code is 2.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from local.environment import PROJECT

UNSAFE, UNKNOWN = 1, 2


def lock_files() -> list[Path]:
    """Every file that pins what we install."""
    return sorted([*PROJECT.glob("requirements*.txt"), *PROJECT.glob("*/requirements.txt")])


def ask(files: list[Path]) -> list[dict[str, Any]]:
    """What pip-audit says of each package; nothing if it could not ask at all."""
    requirements = [argument for file in files for argument in ("--requirement", str(file))]
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format", "json"]
    done = subprocess.run(
        [*command, "--progress-spinner", "off", *requirements], capture_output=True, text=True, check=False
    )
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(done.stderr.strip(), file=sys.stderr)
        return []
    return packages


def judge(packages: list[dict[str, Any]]) -> tuple[list[str], int]:
    """The lines to print, and the exit code."""
    unasked = [package["name"] for package in packages if "skip_reason" in package]
    unsafe = [
        f"{package['name']} {package['version']}: {flaw['id']}, mended in {' or '.join(flaw['fix_versions']) or 'none'}"
        for package in packages
        for flaw in package.get("vulns", [])
    ]
    asked = len(packages) - len(unasked)
    if not asked:
        return ["nothing was audited: the advisory service can't be reached, or knows none of our packages"], UNKNOWN
    lines = [*unsafe, f"{asked} packages audited, {len(unsafe)} known flaws"]
    if unasked:
        lines.append(f"not audited, because the service does not know them: {', '.join(sorted(unasked))}")
    return lines, UNSAFE if unsafe else UNKNOWN if unasked else 0


if __name__ == "__main__":
    lines, code = judge(ask(lock_files()))
    print("\n".join(lines))
    sys.exit(code)
