"""How many runs at a time, and threads for each."""

import os
from dataclasses import dataclass
from pathlib import Path

from mislabel.errors import InputError

PROCESS_BYTES = 400 * 2**20
"A worker with its libraries, before it has any data."
MEMORY_SHARE = 0.8
"Of the machine's memory, for all workers together."


@dataclass(frozen=True, kw_only=True)
class Workers:
    """How many processes, and how many threads each of them uses."""

    count: int
    threads: int

    @classmethod
    def choose(cls, count: int | None, n_tasks: int, device: str, memory: int = 0) -> "Workers":
        """By default one worker per core on a CPU, one on a GPU, never more than tasks.

        n_tasks: of the whole work, finished ones included. The numbers of a training depend on
        its threads in the last bits, so what is resumed must get as many as it had before; so
        memory: bytes that a run takes beside its libraries, counts against all the memory of the
        machine, not against what is free now.
        """
        from joblib import cpu_count

        cls.check(count)
        cores = cpu_count()
        wanted = count
        if wanted is None:
            room = int(MEMORY_SHARE * machine_memory() // (PROCESS_BYTES + memory))
            wanted = min(cores, room) if device == "cpu" else 1
        chosen = max(1, min(wanted, n_tasks))
        return cls(count=chosen, threads=max(1, cores // chosen) if device == "cpu" else 1)

    @staticmethod
    def check(count: int | None) -> None:
        """Raise `InputError` for a number of workers that cannot be."""
        if count is not None and count < 1:
            raise InputError("workers", count, "must be at least 1")


def machine_memory() -> int:
    """Bytes of this machine, or of the control group that this process is in, if that is less."""
    found = [2**40]
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return min(found)
