"""In development, the foot of every page says which edit does not run; what serves is the version before it.

Who runs the services writes a line to DATA_DIR/run/<service>.broken for as long as that is so (local/running.py).
"""

from collections.abc import Iterator
from contextlib import suppress

from quart import Quart

from common.settings import Settings
from common.web import TEMPLATES

FOLDER, PATTERN = "run", "*.broken"


def show_broken_edits(app: Quart, settings: Settings) -> None:
    """Give the templates `broken_edits`, except in production."""
    if settings.tallyho_env == "production":
        return
    folder = settings.data_dir / FOLDER
    app.extensions[TEMPLATES].watch(folder, PATTERN)

    def broken_edits() -> Iterator[str]:
        for path in sorted(folder.glob(PATTERN)):
            with suppress(OSError):  # mended meanwhile
                yield path.read_text(encoding="utf-8").strip()

    app.add_template_global(broken_edits)
