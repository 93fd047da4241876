"""What a process holds in memory."""

import pathlib
import re

MEGABYTE = 1 << 20


def held(pid, name):
    """VmHWM (the peak), VmRSS or VmSize, in MB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M).group(1)) / 1024
