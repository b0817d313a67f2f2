"""Nothing in; what the figures depend on out: processor, memory, load, versions."""

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = ("mwv", "numpy", "numba", "isal", "blake3", "gguf", "libgguf", "pyvips-binary")


def facts(folder: Path) -> dict[str, Any]:
    """What to know about this machine; `folder` is where the measuring happens."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_before": round(os.getloadavg()[0], 2),
        "free_disk_bytes": shutil.disk_usage(folder).free,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def line(facts: dict[str, Any]) -> str:
    """The same for a person, in a line or two."""
    libraries = ", ".join(f"{name} {version or 'is not installed'}" for name, version in facts["libraries"].items())
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_bytes'] / 2**30:.0f} GiB, "
        f"load {facts['load_before']} at the start; {facts['system']}, Python {facts['python']}; {libraries}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((text.partition(":")[2].strip() for text in lines if text.startswith("model name")), platform.machine())


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
