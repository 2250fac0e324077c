"""Threads that fetch: daemons, so that Ctrl-C ends lumienv at once and not after the slowest server.

`concurrent.futures.ThreadPoolExecutor` would join its threads when the interpreter exits.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Workers:
    """Up to `count` threads, started as they are needed; what can wait (`later`) is done when they idle."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._now: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._later: deque[Callable[[], object]] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._quiet = threading.Condition(self._lock)
        self._threads = 0
        self._idle = 0
        self._at_later = 0
        self._closed = False

    def submit(self, job: Callable[[], T], future: Future[T] | None = None) -> Future[T]:
        """Run `job` in a thread, for this future or a new one; cancelled when the workers are closed."""
        if future is None:
            future = Future()
        with self._changed:
            if self._closed:
                _cancel(future)
                return future
            self._now.append((future, job))
            self._wake(len(self._now))
        return future

    def later(self, job: Callable[[], object]) -> None:
        """Run `job`, which must not raise, once no other work waits."""
        with self._changed:
            if not self._closed:
                self._later.append(job)
                self._wake(1)

    def finish_later(self, seconds: float) -> None:
        """Wait until all that could wait is done, for so long at most."""
        with self._changed:
            self._quiet.wait_for(lambda: not self._later and not self._at_later, seconds)

    def close(self) -> None:
        """Cancel what has not begun; what runs is left behind, and its thread ends with it."""
        with self._changed:
            self._closed = True
            dropped = list(self._now)
            self._now.clear()
            self._later.clear()
            self._changed.notify_all()
        for future, _ in dropped:
            _cancel(future)

    def _wake(self, waiting: int) -> None:
        if self._idle >= waiting:
            self._changed.notify()
        elif self._threads < self._count:
            self._threads += 1
            threading.Thread(target=self._work, name=f"lumienv-index-{self._threads}", daemon=True).start()
        else:
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._now and not self._later:
                    if self._closed:
                        return
                    self._idle += 1
                    self._changed.wait()
                    self._idle -= 1
                if self._now:
                    future, job = self._now.popleft()
                    background = None
                else:
                    background = self._later.popleft()
                    self._at_later += 1
            if background is None:
                _run(future, job)
                continue
            try:
                background()
            finally:
                with self._changed:
                    self._at_later -= 1
                    self._quiet.notify_all()


def _cancel(future: Future[Any]) -> None:
    future.cancel()
    # Without this only result() notices; wait() would go on waiting.
    future.set_running_or_notify_cancel()


def _run(future: Future[T], job: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = job()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
