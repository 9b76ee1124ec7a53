"""The ledger of this process; the users write to it. Before a test begins there is none."""

from contextlib import ExitStack
from pathlib import Path

from proof.ledger import Ledger, open_ledger


class Notebook:
    """Holds the open ledger."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._ledger: Ledger | None = None
        self.path: Path | None = None

    @property
    def is_open(self) -> bool:
        return self._ledger is not None

    @property
    def ledger(self) -> Ledger:
        if self._ledger is None:
            raise RuntimeError("no test is running")
        return self._ledger

    def open(self, path: Path) -> None:
        """Begin a new ledger."""
        self.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._ledger = self._stack.enter_context(open_ledger(path))
        self.path = path

    def close(self) -> None:
        """End the ledger."""
        self._stack.close()
        self._ledger = None


notebook = Notebook()
