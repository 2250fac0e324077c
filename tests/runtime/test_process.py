"""The one seam through which programs are started and waited for."""

import sys
from pathlib import Path

import pytest

from lumienv.errors import ContainerError
from lumienv.runtime.process import answered, capture


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_what_a_program_prints_and_its_status_come_back() -> None:
    argv = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    done = capture(argv)
    assert (done.argv, done.returncode, done.stdout, done.stderr) == (tuple(argv), 3, "out\n", "err\n")


def test_text_is_fed_to_standard_input() -> None:
    assert capture(python("import sys; print(sys.stdin.read()[::-1])"), stdin="täxt").stdout == "txät\n"


def test_without_text_standard_input_is_empty() -> None:
    assert capture(python("import sys; print(repr(sys.stdin.read()))")).stdout == "''\n"


def test_the_environment_is_the_whole_one() -> None:
    program = "import os; print(sorted(name for name in os.environ if name != 'LC_CTYPE'))"
    assert capture(python(program), env={"ONLY": "this"}).stdout == "['LUMIENV_WORK', 'ONLY']\n"


def test_output_that_is_no_text_is_no_error() -> None:
    assert capture(python(r"import sys; sys.stdout.buffer.write(b'a\xffb')")).stdout == "a�b"


def test_a_program_runs_where_it_is_told(tmp_path: Path) -> None:
    assert capture(python("import os; print(os.getcwd())"), cwd=tmp_path).stdout.strip() == str(tmp_path)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    with pytest.raises(ContainerError, match=f"cannot start {missing}: there is no such program"):
        capture([missing])


@pytest.mark.parametrize("content", ["", "#!/no/such/interpreter\n", "\x7fELF and no more"])
def test_a_file_that_cannot_be_run_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "program"
    path.write_text(content)
    if content:
        path.chmod(0o755)
    with pytest.raises(ContainerError, match=f"cannot start {path}"):
        capture([str(path)])


def test_a_program_that_does_not_end_is_ended() -> None:
    with pytest.raises(ContainerError, match="did not end within"):
        capture(python("import signal; signal.pause()"), timeout=0.01)


def test_what_an_ended_program_has_started_is_ended_too(tmp_path: Path) -> None:
    """Also what takes no notice of being asked to."""
    program = f"""
import os, signal
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open({str(tmp_path / "child")!r}, "w").write(str(os.getpid()))
    signal.pause()
signal.pause()
"""
    with pytest.raises(ContainerError, match="did not end within"):
        capture(python(program), timeout=2)
    child = Path("/proc", (tmp_path / "child").read_text(), "stat")
    assert not child.exists() or child.read_text().rpartition(")")[2].split()[0] in "ZX"


@pytest.mark.parametrize(
    ("printed", "answer"),
    [
        ('loading…\n\nours:{"a": 1}\n', {"a": 1}),
        ('ours:{"a": 1}\nours:{"a": 2}\nbye\n', {"a": 2}),
        ("ours:{ cut", None),
        ("ours:[1]", None),
        ("ours:" + "[" * 100_000, None),
        (' ours:{"a": 1}', None),
        ("", None),
    ],
    ids=[
        "behind what is printed",
        "the last",
        "cut short",
        "no object",
        "too deep",
        "within a line",
        "none",
    ],
)
def test_what_a_program_answers_is_told_from_what_else_it_prints(
    printed: str, answer: dict[str, int] | None
) -> None:
    assert answered("ours:", printed) == answer
