"""Work rules of operators, one family a file; importing this package registers them."""

from steelyard.compiler.semantics.ops import attention as attention
from steelyard.compiler.semantics.ops import bags as bags
from steelyard.compiler.semantics.ops import blocks as blocks
from steelyard.compiler.semantics.ops import collectives as collectives
from steelyard.compiler.semantics.ops import contraction as contraction
from steelyard.compiler.semantics.ops import convolution as convolution
from steelyard.compiler.semantics.ops import copies as copies
from steelyard.compiler.semantics.ops import distances as distances
from steelyard.compiler.semantics.ops import encoder as encoder
from steelyard.compiler.semantics.ops import foreach as foreach
from steelyard.compiler.semantics.ops import indexing as indexing
from steelyard.compiler.semantics.ops import linalg as linalg
from steelyard.compiler.semantics.ops import losses as losses
from steelyard.compiler.semantics.ops import normalization as normalization
from steelyard.compiler.semantics.ops import optimizers as optimizers
from steelyard.compiler.semantics.ops import pointwise as pointwise
from steelyard.compiler.semantics.ops import pooling as pooling
from steelyard.compiler.semantics.ops import random as random
from steelyard.compiler.semantics.ops import recurrent as recurrent
from steelyard.compiler.semantics.ops import reductions as reductions
from steelyard.compiler.semantics.ops import sampling as sampling
from steelyard.compiler.semantics.ops import softmax as softmax
from steelyard.compiler.semantics.ops import spectral as spectral
from steelyard.compiler.semantics.ops import views as views
