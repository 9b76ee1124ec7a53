"""What is measured: every module here may have `STAGES`."""

import importlib
import pkgutil

from bench.speed.stage import Stage


def all_stages() -> list[Stage]:
    """The stages of every module, in the order of the modules' names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__, f"{__name__}."))
    return [stage for name in names for stage in getattr(importlib.import_module(name), "STAGES", ())]
