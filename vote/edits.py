"""Whether a template was edited: Jinja reads it anew by itself, and pages that are kept must not outlive it."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import common

LOOK_SECONDS = 0.02
FOLDERS = tuple(Path(module).parent / "templates" for module in (__file__, common.__file__))


class TemplateEdits:
    """Looks at the files fifty times a second at most, and only when somebody asks."""

    def __init__(self, folders: Sequence[Path] = FOLDERS) -> None:
        self._folders = folders
        self._looked = time.monotonic()
        self._seen = self._look()

    def happened(self) -> bool:
        """Whether a template is another one than at the last look."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def _look(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in (path for folder in self._folders for path in folder.glob("*.html")):
            with suppress(FileNotFoundError):  # an editor puts another file in its place
                state = path.stat()
                found[path] = (state.st_mtime_ns, state.st_size)
        return found
