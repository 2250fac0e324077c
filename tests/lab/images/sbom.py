"""Write the software list that the LAIF images carry: Debian's packages and Python's."""

import json
import subprocess
import sys
from pathlib import Path


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


debian = output("dpkg-query", "-W", "-f", "${Package}\t${Version}\n").splitlines()
apt = [dict(zip(("name", "version"), line.split("\t"), strict=True)) for line in debian]
pip = json.loads(output(sys.executable, "-m", "pip", "list", "--format=json"))
Path(sys.argv[1]).write_text(json.dumps({"apt": apt, "pip": pip}))
