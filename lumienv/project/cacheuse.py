"""Who uses the cache, and who cleans it: never both at once.

A sync fetches wheels and installs them minutes later; what `cache clean` removed in between would be missed.
So whoever reads puts a file with its name into the cache, then looks for a cleaner, and waits for it. A
cleaner puts its own, then looks for readers, and gives up if there are any. Each puts first and looks then,
so of two at least one sees the other, on any file system; `overlay/writer.py` does the same for the store.

A process of this node counts until it has ended; one of another node as long as its file is young.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lumienv.errors import StoreError
from lumienv.files import ABANDONED
from lumienv.overlay.writer import STALE_AFTER, Maker, this_maker

_READER = ".in-use-"
_CLEANER = ".cleaning-"


@contextmanager
def using_cache(cache: Path, waiting: Callable[[str], None]) -> Iterator[None]:
    """Around work that needs files to stay in the cache; a cleaner is waited for, and `waiting` told so once.

    A cache that cannot be written to is used as it is: nobody can clean it either.
    """
    mark = _put(cache, _READER)
    try:
        _living(cache, _READER, ABANDONED)  # removes what killed ones have left
        told = False
        while mark is not None:
            cleaners = _living(cache, _CLEANER, STALE_AFTER)
            if not cleaners:
                break
            if not told:
                waiting(f"{_who(cleaners[0])} is cleaning {cache}, waiting for it")
            told = True
            time.sleep(0.1)
        yield
    finally:
        _take_back(mark)


@contextmanager
def cleaning_cache(cache: Path) -> Iterator[Callable[[], None]]:
    """Around removing: what is given is to be called now and then, as a sign of life.

    Raises StoreError when the cache is in use, being cleaned, or cannot be written to.
    """
    mark = _put(cache, _CLEANER)
    try:
        if mark is None:
            raise StoreError(
                f"{cache} cannot be written to, so nothing can be removed there",
                hint="LUMIENV_CACHE_DIR names another cache: lumienv cache dir",
            )
        others = _living(cache, _READER, ABANDONED) + _living(cache, _CLEANER, STALE_AFTER, but=mark)
        if others:
            raise StoreError(
                f"the cache is in use by {_who(others[0])}",
                f"at {cache}",
                hint="wait until it has ended, then: lumienv cache clean",
            )
        yield _heart(mark)
    finally:
        _take_back(mark)


def _heart(mark: Path) -> Callable[[], None]:
    last = time.monotonic()

    def beat() -> None:
        nonlocal last
        if time.monotonic() - last > STALE_AFTER / 8:
            last = time.monotonic()
            with suppress(OSError):
                os.utime(mark)

    return beat


def _put(cache: Path, begin: str) -> Path | None:
    mark = cache / f"{begin}{secrets.token_hex(6)}-{this_maker()}"
    try:
        mark.touch(mode=0o600, exist_ok=False)
    except OSError:
        return None
    return mark


def _take_back(mark: Path | None) -> None:
    if mark is not None:
        with suppress(OSError):
            mark.unlink()


def _living(cache: Path, begin: str, age: float, but: Path | None = None) -> list[Maker]:
    """Whose marks these are; those of processes that have ended are removed.

    What cannot be seen from here counts as living for `age` seconds after its mark was touched last.
    """
    here, found = this_maker(), []
    for path in sorted(cache.glob(f"{begin}*")):
        maker = Maker.of(path.name.removeprefix(begin).partition("-")[2])
        if maker is None or path == but:
            continue
        with suppress(FileNotFoundError):
            dead = maker.dead(here)
            if dead is None:
                dead = time.time() - path.stat().st_mtime > age
            if dead:
                path.unlink()
            else:
                found.append(maker)
    return found


def _who(maker: Maker) -> str:
    return f"another lumienv (process {maker.pid} on {maker.host})"
