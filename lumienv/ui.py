"""What people see: plain lines, colour where it is wanted, progress on terminals only.

Results go to standard output, everything else to standard error. rich is imported only where a bar or a
table is really drawn: it costs more than most commands.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import click

from lumienv.errors import LumienvError

# Whoever shows something has these from here.
from lumienv.plaintext import counted as counted
from lumienv.plaintext import megabytes as megabytes
from lumienv.plaintext import plain as plain

_AT_ONCE = 1.0  # seconds: what is done by then needs no clock, nor what it costs to import one


@dataclass(frozen=True)
class Output:
    """How this invocation talks."""

    quiet: bool = False
    verbose: int = 0
    color: bool | None = None
    """None: as the terminal is"""
    progress: bool = True

    def result(self, line: str, mark: str = "") -> None:
        """One line of what the command was asked for; `mark` is a leading `+`, `-`, `~` or `=`."""
        if not self.quiet:
            styled = click.style(mark, fg=_MARKS[mark], bold=True) + " " if mark else ""
            click.echo(styled + plain(line), color=self.color)

    def answer(self, line: str, mark: str = "") -> None:
        """One line of a report, as `result`: it is what the command is for, and said when quiet, too."""
        replace(self, quiet=False).result(line, mark)

    def data(self, value: object) -> None:
        """The result as JSON (`--json`)."""
        click.echo(json.dumps(value, indent=2))

    def text(self, text: str) -> None:
        """A result that is needed even when quiet: what `--print` was asked for."""
        click.echo(text, color=self.color)

    def note(self, line: str) -> None:
        """Something worth knowing."""
        if not self.quiet:
            click.echo(plain(line), err=True, color=self.color)

    def detail(self, line: str) -> None:
        """Something worth knowing with -v."""
        if self.verbose:
            click.echo(click.style(plain(line), dim=True), err=True, color=self.color)

    def warn(self, line: str) -> None:
        """Something that may go wrong later."""
        click.echo(click.style("warning: ", fg="yellow", bold=True) + plain(line), err=True, color=self.color)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows under headings, as wide as their content."""
        widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]
        for number, row in enumerate((columns, *rows)):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            click.echo(click.style(line, bold=True) if number == 0 else line, color=self.color)

    @contextmanager
    def step(self, text: str, detail: Callable[[], str] | None = None) -> Iterator[None]:
        """Around something long: on a terminal a line with the time it takes, elsewhere a plain one.

        `detail` is asked again and again for what is being done just now.
        """
        if self.quiet or not (self.progress and sys.stderr.isatty()):
            self.note(text)
            yield
            return
        with _clock(text, detail or str, self.color):
            yield

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Around what may take a while: a terminal gets a line with the time, once a second has passed.

        Elsewhere nothing is said.
        """
        if self.quiet or not (self.progress and sys.stderr.isatty()):
            yield
            return
        import threading

        with ExitStack() as clock:
            begin = threading.Timer(_AT_ONCE, lambda: clock.enter_context(_clock(text, str, self.color)))
            begin.daemon = True
            begin.start()
            try:
                yield
            finally:
                begin.cancel()
                begin.join()

    @contextmanager
    def downloads(self, sizes: Mapping[str, int | None]) -> "Iterator[Downloads]":
        """A bar over all files of `sizes` (name → bytes) on a terminal, one line elsewhere."""
        total = sum(size or 0 for size in sizes.values())
        if sizes and not self.quiet:
            label = f"{len(sizes)} wheel{'s' if len(sizes) > 1 else ''}, {megabytes(total)}"
            if self.progress and sys.stderr.isatty():
                with _bar(f"downloading {label}", total, self.color) as downloads:
                    yield downloads
                return
            self.note(f"downloading {label}")
        yield Downloads()


class Downloads:
    """Where a download reports how far it is; this one shows nothing."""

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """`done` of `total` bytes of the file `name` have arrived."""


_MARKS = {"+": "green", "-": "red", "~": "yellow", "=": "blue", "": None}


@contextmanager
def _bar(label: str, total: int, color: bool | None) -> Iterator[Downloads]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True, no_color=color is False)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=total or None)
        arrived: dict[str, int] = {}

        class Bar(Downloads):
            def __call__(self, name: str, done: int, total: int | None) -> None:
                del total
                arrived[name] = done
                progress.update(task, completed=sum(arrived.values()))

        yield Bar()


@contextmanager
def _clock(text: str, detail: Callable[[], str], color: bool | None) -> Iterator[None]:
    from datetime import timedelta

    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task
    from rich.table import Column
    from rich.text import Text

    console = Console(stderr=True, no_color=color is False)

    class Line(ProgressColumn):
        """The time, the text, and the detail: of what does not fit, the text is cut.

        In columns of their own, rich would cut the time where the text just fills the rest.
        """

        def __init__(self) -> None:
            super().__init__(Column(no_wrap=True, overflow="ellipsis"))

        def render(self, task: Task) -> Text:
            time = str(timedelta(seconds=int(task.elapsed or 0)))
            what, more = Text(plain(text)), Text(f" {plain(detail())}".rstrip())
            spinner = 2
            room = console.width - spinner - len(f"{time} ") - more.cell_len
            what.truncate(max(1, room), overflow="ellipsis")
            return Text.assemble((time, "progress.elapsed"), " ", what, more)

    with Progress(SpinnerColumn(), Line(), console=console, transient=True) as progress:
        progress.add_task("", total=None)
        yield


def with_nulls(table: Mapping[str, object]) -> dict[str, object]:
    """A table for `--json`, where what there is not is null, and no empty text."""
    return {name: None if value == "" else value for name, value in table.items()}


def colored(wanted: str, environ: Mapping[str, str]) -> bool | None:
    """What `--color` asks for; None leaves it to the terminal.

    Where nothing is asked for, `NO_COLOR` counts (no-color.org), and then `FORCE_COLOR` (force-color.org).
    """
    if wanted == "auto":
        if environ.get("NO_COLOR"):
            return False
        return True if environ.get("FORCE_COLOR") else None
    return wanted == "always"


def show_error(error: LumienvError, color: bool | None = None) -> None:
    """An error as a sentence with its facts and a way out, on standard error."""
    lines = [click.style("error: ", fg="red", bold=True) + plain(error.message)]
    lines += [f"  {plain(fact)}" for fact in error.facts]
    if error.hint is not None:
        first, *rest = plain(error.hint).splitlines() or [""]
        lines += [click.style("help: ", fg="cyan", bold=True) + first, *(f"      {line}" for line in rest)]
    click.echo("\n".join(lines), err=True, color=color)
