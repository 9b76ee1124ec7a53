"""What the figures were measured on."""

import os
import platform
import re

import psutil  # type: ignore[import-untyped]

from bench.processes import first_line

# As soon as half of the cores are busy with something else, the figures are about that as well.
BUSY_PER_CORE = 0.5
VERSIONS = {
    "Docker": ("docker", "version", "--format", "{{.Server.Version}}"),
    "Compose": ("docker", "compose", "version", "--short"),
    "Tilt": ("tilt", "version"),
}


def machine() -> dict[str, str]:
    """Facts by name, in reading order."""
    facts = {"cores": str(os.cpu_count()), "memory": f"{psutil.virtual_memory().total / 1024**3:.0f} GB"}
    facts |= {"system": f"{platform.system()} {platform.machine()}", "Python": platform.python_version()}
    for name, command in VERSIONS.items():
        if found := re.search(r"\d+\.\d+(\.\d+)?", first_line(*command) or ""):
            facts[name] = found[0]
    load = os.getloadavg()[0]
    if load > BUSY_PER_CORE * (os.cpu_count() or 1):
        facts["load before"] = f"{load:.1f}"
    return facts


def sentence(facts: dict[str, str]) -> str:
    """The same for people."""
    words = [f"{facts['cores']} cores", f"{facts['memory']} of memory", facts["system"]]
    words += [f"{name} {facts[name]}" for name in ("Python", *VERSIONS) if name in facts]
    if "load before" in facts:
        words.append(f"busy with other things before (load {facts['load before']})")
    return ", ".join(words)
