"""Look up known vulnerabilities of everything that requirements.lock names: `make lint` runs this.

Where the index of packages cannot be asked, which is no fault of the packages, that is said, and the exit status is 0.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

PROBE = "pip==24.0"
"""A package that the service knows: where it is not found, the service cannot be asked."""

PATIENCE = 5
AT_MOST = 120.0


def ask(requirements: Path) -> subprocess.CompletedProcess[str]:
    """Let pip-audit look up what a file of requirements names; its JSON is in `stdout`, which is empty where it failed."""
    words = ["--requirement", str(requirements), "--disable-pip", "--no-deps", "--format", "json"]
    command = [sys.executable, "-m", "pip_audit", *words, "--progress-spinner", "off", "--timeout", str(PATIENCE)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=AT_MOST)


def is_online() -> bool:
    """Tell whether the service that knows vulnerabilities knows a package that it has to know."""
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe.txt"
        probe.write_text(f"{PROBE}\n")
        said = ask(probe).stdout
    return bool(said.strip()) and any("vulns" in each for each in json.loads(said)["dependencies"])


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
    try:
        if not is_online():
            print("pip-audit: skipped, since the service that knows vulnerabilities cannot be reached from here")
            return 0
        done = ask(lock)
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
