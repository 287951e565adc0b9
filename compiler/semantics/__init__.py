"""The work of each op: iteration spaces and accesses, from which every cost derives."""

# Importing a family enters its rules.
from steelyard.compiler.semantics import attention as attention
from steelyard.compiler.semantics import collectives as collectives
from steelyard.compiler.semantics import contraction as contraction
from steelyard.compiler.semantics import convolution as convolution
from steelyard.compiler.semantics import copies as copies
from steelyard.compiler.semantics import foreach as foreach
from steelyard.compiler.semantics import indexing as indexing
from steelyard.compiler.semantics import losses as losses
from steelyard.compiler.semantics import normalization as normalization
from steelyard.compiler.semantics import optimizers as optimizers
from steelyard.compiler.semantics import pointwise as pointwise
from steelyard.compiler.semantics import pooling as pooling
from steelyard.compiler.semantics import random as random
from steelyard.compiler.semantics import reductions as reductions
from steelyard.compiler.semantics import softmax as softmax
from steelyard.compiler.semantics import views as views
