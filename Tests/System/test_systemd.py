"""The units of deploy/systemd, as systemd reads them."""

import os
import shutil
import subprocess

import pytest

from carillon.processes import ROOT
from carillon.servers import SERVICES, binaries

UNITS = ROOT / "deploy/systemd"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_takes_the_units(tmp_path):
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    names = []
    for unit in tmp_path.glob("*@.service"):
        # It wants the programs to be there, and an instance of each template.
        text = unit.read_text().replace("/usr/local/bin/", f"{binaries()}/")
        names.append(unit.name.replace("@", "@1"))
        (tmp_path / names[-1]).write_text(text)
        unit.write_text(text)
    assert sorted(names) == sorted(f"carillon-{name}@1.service" for name in SERVICES)
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(tmp_path / name for name in [*names, "carillon.target"])],
        capture_output=True, text=True, timeout=120, env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"})
    assert answer.returncode == 0 and str(tmp_path) not in answer.stderr, answer.stderr


def test_each_unit_hands_over_the_secrets_that_its_service_reads():
    for name in SERVICES:
        declared = subprocess.run([binaries() / name, "--settings"], capture_output=True, text=True, timeout=120).stdout
        secrets = {line.split("\t")[0] + "_FILE" for line in declared.splitlines() if line.split("\t")[4] == "secret"}
        unit = (UNITS / f"carillon-{name}@.service").read_text().splitlines()
        given = {line.split("=")[1] for line in unit if line.startswith("Environment=")}
        assert given == secrets, name
