// Functions of every element, of few and of many operations; the first operand comes from the op before.
// sizes: rows=128 cols=768
// sizes: rows=128 cols=3072
// sizes: rows=512 cols=3072
// sizes: rows=2048 cols=3072
func.func @add(%a: tensor<${rows}x${cols}xf32>, %b: tensor<${rows}x${cols}xf32>) {
  %x = aten.relu(%a) : tensor<${rows}x${cols}xf32>
  %y = aten.add.Tensor(%x, %b) : tensor<${rows}x${cols}xf32>
  func.return
}
func.func @relu_in_place(%a: tensor<${rows}x${cols}xf32>) {
  %x = aten.relu(%a) : tensor<${rows}x${cols}xf32>
  %y = aten.relu_(%x) : tensor<${rows}x${cols}xf32>
  func.return
}
func.func @multiply(%a: tensor<${rows}x${cols}xf32>) {
  %x = aten.relu(%a) : tensor<${rows}x${cols}xf32>
  %y = aten.mul.Scalar(%x, 0.5) : tensor<${rows}x${cols}xf32>
  func.return
}
func.func @gelu(%a: tensor<${rows}x${cols}xf32>) {
  %x = aten.relu(%a) : tensor<${rows}x${cols}xf32>
  %y = aten.gelu(%x) : tensor<${rows}x${cols}xf32>
  func.return
}
func.func @gelu_gradient(%a: tensor<${rows}x${cols}xf32>, %x: tensor<${rows}x${cols}xf32>) {
  %g = aten.relu(%a) : tensor<${rows}x${cols}xf32>
  %y = aten.gelu_backward(%g, %x) : tensor<${rows}x${cols}xf32>
  func.return
}
func.func @tanh(%a: tensor<${rows}x${cols}xf32>) {
  %x = aten.relu(%a) : tensor<${rows}x${cols}xf32>
  %y = aten.tanh(%x) : tensor<${rows}x${cols}xf32>
  func.return
}
func.func @dropout(%a: tensor<${rows}x${cols}xf32>) {
  %x = aten.relu(%a) : tensor<${rows}x${cols}xf32>
  %y, %mask = aten.native_dropout(%x, p = 0.1, train = true) : tensor<${rows}x${cols}xf32>, tensor<${rows}x${cols}xi1>
  func.return
}
