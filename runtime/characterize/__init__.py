"""How time grows with one size of a kernel: the staircase (Tang et al., MLSys 2021)."""
