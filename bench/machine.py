"""What the figures were measured on."""

import os
import platform
import re
from pathlib import Path

from bench.commands import first_line

# As soon as half of the cores are busy with something else, the figures are about that as well.
BUSY_PER_CORE = 0.5
VERSIONS = {
    "Docker": ("docker", "version", "--format", "{{.Server.Version}}"),
    "Compose": ("docker", "compose", "version", "--short"),
    "Tilt": ("tilt", "version"),
}


def machine() -> dict[str, str]:
    """Facts by name, in the order in which people read them."""
    facts = {"cores": str(os.cpu_count()), "memory": _memory(), "system": f"{platform.system()} {platform.machine()}"}
    facts["Python"] = platform.python_version()
    for name, command in VERSIONS.items():
        if found := re.search(r"\d+\.\d+(\.\d+)?", first_line(command) or ""):
            facts[name] = found[0]
    load = os.getloadavg()[0]
    if load > BUSY_PER_CORE * (os.cpu_count() or 1):
        facts["load before"] = f"{load:.1f}"
    return {name: fact for name, fact in facts.items() if fact}


def sentence(facts: dict[str, str]) -> str:
    """The same for people."""
    words = [f"{facts['cores']} cores"]
    words += [f"{facts['memory']} of memory"] if "memory" in facts else []
    words.append(facts["system"])
    words += [f"{name} {facts[name]}" for name in ("Python", *VERSIONS) if name in facts]
    if "load before" in facts:
        words.append(f"busy with other things before (load {facts['load before']})")
    return ", ".join(words)


def _memory() -> str:
    try:
        total = re.search(r"^MemTotal: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return ""
    return f"{int(total[1]) / 1024**2:.0f} GB" if total else ""
