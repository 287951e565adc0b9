"""What malloc does with memory while it is told to keep it, and afterwards."""

import platform
import resource

import pytest
import torch

from steelyard.runtime.kept_memory import memory_kept

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
PAGES = 40 * 2**20 // resource.getpagesize()


def new_pages() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(40 * 2**18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_large_memory_is_new_only_where_it_is_not_kept():
    with memory_kept():
        new_pages()
        assert new_pages() < PAGES / 10
    assert new_pages() >= PAGES
    assert new_pages() >= PAGES


def test_an_error_passes_and_memory_is_given_back_again():
    with pytest.raises(ValueError, match="inside"), memory_kept():
        raise ValueError("inside")
    assert new_pages() >= PAGES
