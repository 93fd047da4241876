"""Sums the JUnit files of all runners and prints `N passed, N failed, N skipped` as the last line.

usage: count.py FOLDER [RUNNER ...]     RUNNER: one that ended badly; it counts as a failure if its file names none
"""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def outcome(case: ElementTree.Element) -> str:
    children = {child.tag for child in case}
    if children & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in children else "passed"


def count(file: Path) -> dict[tuple[str, str], str]:
    """The outcome of each test; pytest writes a test whose teardown failed twice: its worse outcome counts."""
    outcomes: dict[tuple[str, str], str] = {}
    for case in ElementTree.parse(file).iter("testcase"):
        key = (case.get("classname", ""), case.get("name", ""))
        if outcomes.get(key) != "failed":
            outcomes[key] = outcome(case)
    return outcomes


def main(folder: Path, broken: list[str]) -> int:
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    failures: list[str] = []
    blamed: set[str] = set()
    for file in sorted(folder.glob("*.xml")):
        try:
            outcomes = count(file)
        except ElementTree.ParseError:
            outcomes = {(file.stem, "its results cannot be read"): "failed"}
        for (group, name), result in outcomes.items():
            totals[result] += 1
            if result == "failed":
                failures.append(f"{group} {name}")
                blamed.add(file.stem.removesuffix("-swift-testing"))
    for runner in broken:
        if runner not in blamed:
            totals["failed"] += 1
            failures.append(f"{runner}: ended badly before it could name a test")
    for failure in failures:
        print(f"FAILED {failure}")
    print(", ".join(f"{totals[result]} {result}" for result in ("passed", "failed", "skipped")))
    return 1 if totals["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
