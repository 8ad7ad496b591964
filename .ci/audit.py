"""Looks for known vulnerabilities of pinned packages: ``python .ci/audit.py requirements-lock.txt``.

Where they cannot be looked up, it says so and fails nothing.
"""

import json
import subprocess
import sys
from typing import Any


def main(requirements: str) -> None:
    """Audit, and fail where a package is known to be vulnerable."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", requirements, "--no-deps", "--disable-pip"]
    done = subprocess.run(  # noqa: S603 (it is pip-audit, of this interpreter)
        [*command, "--progress-spinner", "off", "--format", "json"], capture_output=True, text=True
    )
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        skip(done.stderr.strip().rpartition("\n")[2])
        return
    audited = [package for package in packages if "skip_reason" not in package]
    if not audited:
        skip(packages[0]["skip_reason"] if packages else "there are none")
        return
    found = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, mended in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in audited
        for vulnerability in package["vulns"]
    ]
    if found:
        sys.exit("\n".join(found))
    unknown = len(packages) - len(audited)
    print(f"pip-audit: {len(audited)} packages, no known vulnerability; {unknown} could not be looked up")


def skip(why: str) -> None:
    """Say that nothing was looked up; no machine without the network can do anything about it."""
    print(f"pip-audit: SKIPPED, its service cannot be asked from here: {why}")


if __name__ == "__main__":
    main(sys.argv[1])
