"""Copy streams beside the kernels of a program."""
