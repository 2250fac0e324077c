"""Values that break what is quoted, split, evaluated or decoded on the way to a program, and what arrives."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st
from properties import examples

Value = TypeVar("Value")

NASTY = (
    *(b"", b" ", b"  two  blanks ", b"\t", b"\n", b"\n\n", b"a\nb\n", b"\r\n", b"\x01\x1b[31m\x7f"),
    *(
        b"'",
        b'"',
        b"'\"'\"'",
        b'say "hi"',
        b"it's",
        b"\\",
        b"\\\\",
        b"\\n",
        b"a\\",
        b"\\'",
        b"%s%d%%",
        b"\\0351",
    ),
    *(
        b"$HOME",
        b"${HOME}",
        b"$(touch evil)",
        b"`touch evil`",
        b"$((1/0))",
        b"$",
        b"$$",
        b"!!",
        b"~",
        b"*",
        b"?[a]",
    ),
    *(
        b"a,b",
        b"A=1,B=2",
        b"a=b=c",
        b"=",
        b"ALL",
        b"NONE",
        b"#",
        b"; exit 3",
        b"&& false",
        b"| cat",
        b"> evil",
    ),
    *(
        b"-n",
        b"--",
        b"--env",
        b"{SLURM_PROCID}",
        b"{first-node}",
        b"%j%t",
        b"() { :; }; touch evil",
        "\x80\x81 \x80".encode(),
        "\x81".encode(),
        b"a\r\nb",
        b"\r",
    ),
    *("ü".encode(), "日本語 ".encode(), "\u2028\ufeff\ufffd".encode(), "\U0001f4a5".encode()),
    b"x" * 60_000,
)
NO_TEXT = (
    b"\xff",
    b"\xc3",
    b"caf\xe9\n",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x92",
    b"\x80'\"$(id)`id`\\%s\n\n",
    b"a\xff,b=c",
)

# Names that mean something to a shell, a loader or Python on the way; all the same they are the user's.
# OPTIND is not among them: dash does not start where it is no number.
ODD_NAMES = (
    *(
        "IFS",
        "OPTARG",
        "PPID",
        "LINENO",
        "RANDOM",
        "SECONDS",
        "SHLVL",
        "CDPATH",
        "ENV",
        "BASH_ENV",
        "TMPDIR",
    ),
    *(
        "FUNCNAME",
        "GROUPS",
        "DIRSTACK",
        "BASHPID",
        "MAIL",
        "PS4",
        "TERM",
        "SHELL",
        "USER",
        "LOGNAME",
        "_x",
        "x",
        "X_1",
    ),
    *(
        "SINGULARITY_BIND_X",
        "APPTAINERENV_X",
        "SINGULARITYENV_X",
        "VIRTUAL_ENV_PROMPT",
        "CONDA_PREFIX",
        "SLURMX",
    ),
)
# What stands between changes these by itself, or cannot be given them.
_TAKEN = re.compile(
    r"(PATH|HOME|PWD|OLDPWD|UID|EUID|GID|_|LD_\w*|LC_\w*|LANG|PYTHON\w*|SLURM\w*|PMI\w*|PS1|PROMPT_COMMAND|PREPEND_PATH|APPEND_PATH)"
)

SHOW = """\
import json, os, sys
env = {k.decode("latin-1"): v.decode("latin-1") for k, v in os.environb.items()}
print(json.dumps([env, [os.fsencode(word).decode("latin-1") for word in sys.argv[1:]], os.getcwd()]))
"""


def drawn(strategy: st.SearchStrategy[Value], number: int) -> list[Value]:
    """What hypothesis thinks of, the same each time: to be sent in one start instead of one each."""
    found: list[Value] = []

    @examples(number)
    @given(strategy)
    def collect(value: Value) -> None:
        found.append(value)

    collect()
    return found


def texts(number: int) -> list[bytes]:
    """Values in UTF-8."""
    text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
    mixed = st.lists(st.sampled_from([*map(bytes.decode, NASTY[:-1])]) | text, max_size=4).map("".join)
    return [*NASTY, *(value.encode() for value in drawn(mixed, number))]


def raws(number: int) -> list[bytes]:
    """Values of any bytes that a variable can hold."""
    return [*NO_TEXT, *drawn(st.binary(max_size=60).map(lambda raw: raw.replace(b"\0", b"")), number)]


def named(values: Sequence[bytes]) -> dict[str, bytes]:
    """The values under as many names, odd ones among them."""
    fitting = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True).filter(
        lambda name: not _TAKEN.fullmatch(name)
    )
    names = dict.fromkeys([*ODD_NAMES, *drawn(fitting, len(values) * 2)])
    assert len(names) >= len(values)
    return dict(zip(names, values, strict=False))


@dataclass(frozen=True)
class Seen:
    """What a program found around it."""

    env: Mapping[str, bytes]
    words: tuple[bytes, ...]
    folder: str

    @staticmethod
    def of(output: bytes) -> "Seen":
        """From what `SHOW` printed last."""
        env, words, folder = json.loads(output.splitlines()[-1])
        found = {name.encode("latin-1"): value.encode("latin-1") for name, value in env.items()}
        return Seen(
            {os.fsdecode(name): value for name, value in found.items()},
            tuple(word.encode("latin-1") for word in words),
            folder,
        )

    def changed(self, sent: Mapping[str, bytes]) -> dict[str, tuple[bytes, bytes | None]]:
        """The variables that did not arrive as they were sent: name → (sent, found)."""
        return {
            name: (value, self.env.get(name)) for name, value in sent.items() if self.env.get(name) != value
        }


def output_of(command: Sequence[str | bytes], folder: Any, env: Mapping[str, str]) -> bytes:
    """What a program prints, to the byte; it has to succeed."""
    done = subprocess.run(
        list(command), cwd=folder, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
    return done.stdout


Way = Callable[..., Seen]
