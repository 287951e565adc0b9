"""CSV tables of kernels: parsing requests and predicting rows."""
