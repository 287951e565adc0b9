"""What malloc does with memory while it is told to keep it, and afterwards."""

import json
import platform
import subprocess
import sys

import pytest

_NEW_PAGES = """
import json, resource
import torch
from steelyard.runtime.timing.malloc_settings import memory_kept

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(40 * 2**18)
    found = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return found * resource.getpagesize() / (40 * 2**20)

before = [new_pages(), new_pages()]
try:
    with memory_kept():
        kept = [new_pages() for _ in range(20)]
        raise ValueError
except ValueError:
    rest = [torch.zeros(40 * 2**18) for _ in range(20)]  # take the holes
    after = [new_pages(), new_pages()]
print(json.dumps([before, kept, after]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_large_memory_is_new_each_time_but_while_it_is_kept():
    # In a process of its own: the heap of this one has whatever the tests before left of it.
    ran = subprocess.run([sys.executable, "-c", _NEW_PAGES], capture_output=True, text=True, check=True)
    before, kept, after = json.loads(ran.stdout)
    assert min(before) >= 1
    assert min(kept) < 0.1  # not of each: a hole may be too small for the next, to be aligned
    assert min(after) >= 1
