"""Runs ahead of the resolver: what it will most likely ask for next is fetched in parallel meanwhile.

It follows the newest release that fits each requirement, as the resolver will in most cases. It decides
nothing: a wrong guess costs a request, a failure is met again by the resolver, which can explain it.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial

from packaging.specifiers import SpecifierSet

from lumienv.index.metadata import CoreMetadata
from lumienv.index.pages import File, Page

Need = tuple[str, frozenset[str], SpecifierSet]
"""name, extras, specifier"""
Needs = Iterable[Need]


class Scout:
    """Prefetches pages and metadata, each once."""

    def __init__(
        self,
        page: Callable[[str], "Future[Page | None]"],
        metadata: Callable[[File], "Future[CoreMetadata]"],
        choose: Callable[[str, Page, SpecifierSet], File | None],
        needs: Callable[[CoreMetadata, frozenset[str]], Needs],
    ) -> None:
        self._page = page
        self._metadata = metadata
        self._choose = choose
        self._needs = needs
        self._seen: set[tuple[str, frozenset[str], str]] = set()
        self._waiting: deque[Need] = deque()
        self._here = threading.local()

    def visit(self, needs: Needs) -> None:
        """Fetch what these needs lead to, and what that leads to."""
        self._waiting.extend(needs)
        # Where everything is at hand, answers arrive within the question: a loop, for long chains of needs
        # would be a deep recursion.
        if getattr(self._here, "visiting", False):
            return
        self._here.visiting = True
        try:
            while self._waiting:
                try:
                    name, extras, specifier = self._waiting.popleft()
                except IndexError:  # another thread was faster
                    return
                self._visit(name, extras, specifier)
        finally:
            self._here.visiting = False

    def _visit(self, name: str, extras: frozenset[str], specifier: SpecifierSet) -> None:
        # Threads may race here; the worst that happens is a second look at something memoised.
        key = (name, extras, str(specifier))
        if key not in self._seen:
            self._seen.add(key)
            arrived = partial(self._page_arrived, name, extras, specifier)
            self._page(name).add_done_callback(arrived)

    def _page_arrived(
        self, name: str, extras: frozenset[str], specifier: SpecifierSet, future: "Future[Page | None]"
    ) -> None:
        if future.cancelled() or future.exception() is not None:
            return
        page = future.result()
        file = self._choose(name, page, specifier) if page is not None else None
        if file is not None:
            self._metadata(file).add_done_callback(partial(self._metadata_arrived, extras))

    def _metadata_arrived(self, extras: frozenset[str], future: "Future[CoreMetadata]") -> None:
        if not future.cancelled() and future.exception() is None:
            self.visit(self._needs(future.result(), extras))
