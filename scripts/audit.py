"""Look up known vulnerabilities of everything that requirements.lock names: `make lint` runs this.

Where the index of packages cannot be asked, which is no fault of the packages, that is said, and the exit status is 0.
"""

import json
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

PROBE = "https://pypi.org/pypi/pip/24.0/json"
"""A package's page for programs, which lists its vulnerabilities."""

PATIENCE = 5.0
AT_MOST = 120.0


def is_online() -> bool:
    """Tell whether the service answers within some seconds, with the list that the audit needs."""
    try:
        with urlopen(PROBE, timeout=PATIENCE) as answer:
            return isinstance(json.loads(answer.read()).get("vulnerabilities"), list)
    except (URLError, OSError, ValueError, AttributeError):
        return False


def report(text: str) -> tuple[int, str]:
    """Return the exit status and what is to be said of pip-audit's JSON."""
    every = json.loads(text)["dependencies"]
    looked_up = [each for each in every if "vulns" in each]
    found = [(each["name"], each["version"], vuln) for each in looked_up for vuln in each["vulns"]]
    lines = [
        f"{name} {version}: {vuln['id']}, mended in {vuln['fix_versions'] or 'no version'}"
        for name, version, vuln in found
    ]
    lines.append(f"{len(looked_up)} of {len(every)} packages looked up, {len(found)} known vulnerabilities")
    return int(bool(found)), "\n".join(lines)


def main(lock: Path) -> int:
    """Audit a file of requirements, and return the exit status."""
    if not is_online():
        print("pip-audit: skipped, since the service that knows vulnerabilities cannot be reached from here")
        return 0
    words = ["--requirement", str(lock), "--disable-pip", "--no-deps", "--format", "json", "--progress-spinner", "off"]
    command = [sys.executable, "-m", "pip_audit", *words, "--timeout", str(int(PATIENCE))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=AT_MOST)
    except subprocess.TimeoutExpired:
        print(f"pip-audit: skipped, since the service took longer than {AT_MOST:g} s")
        return 0
    if not done.stdout.strip():
        print(f"pip-audit: {done.stderr.strip() or 'it said nothing'}", file=sys.stderr)
        return 1
    status, text = report(done.stdout)
    print(f"pip-audit: {text}")
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
