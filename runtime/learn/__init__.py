"""Regressors of kernels, learned from measurements around the kernels that models have.

The method is nn-Meter's (Zhang et al., MobiSys 2021, sections 5 and 6): one regressor a kind of kernel, and
more measurements where it is wrong.
"""
