"""How time grows with one dim of a kernel: the staircase (Tang et al., MLSys'21)."""
