"""A program `keyring` for tests: knows some passwords, notes what it is asked."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path


class KeyringProgram:
    """The program in `directory`, which belongs in front of PATH; `known` is (service, name) → password."""

    def __init__(self, directory: Path, known: Mapping[tuple[str, str], str], *, hangs: bool = False) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self._log = directory / "asked"
        program = directory / "keyring"
        entries = [[service, name, word] for (service, name), word in known.items()]
        program.write_text(f"""#!{sys.executable}
import json, signal, sys
with open({str(self._log)!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if {hangs}:
    signal.pause()
command, service, *rest = sys.argv[1:]
assert command == "get"
for known, name, word in json.loads({json.dumps(entries)!r}):
    if known == service and rest in ([name], ["--mode", "creds"]):
        print(word if rest == [name] else name + "\\n" + word)
        sys.exit()
print("a reason, and nothing else", file=sys.stderr)
sys.exit(1)
""")
        program.chmod(0o755)

    def asked(self) -> list[list[str]]:
        """The words it was called with, call by call, without the first (`get`)."""
        if not self._log.exists():
            return []
        return [json.loads(line)[1:] for line in self._log.read_text().splitlines()]
