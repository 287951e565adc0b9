// Softmax of each row, and its gradient.
// sizes: rows=1536 cols=128
// sizes: rows=128 cols=8192
// sizes: rows=512 cols=8192
func.func @softmax(%x: tensor<${rows}x${cols}xf32>) {
  %y = aten._softmax(%x, dim = -1, half_to_float = false) : tensor<${rows}x${cols}xf32>
  func.return
}
func.func @log_softmax(%x: tensor<${rows}x${cols}xf32>) {
  %y = aten._log_softmax(%x, dim = -1, half_to_float = false) : tensor<${rows}x${cols}xf32>
  func.return
}
func.func @softmax_gradient(%g: tensor<${rows}x${cols}xf32>, %y: tensor<${rows}x${cols}xf32>) {
  %x = aten._softmax_backward_data(%g, %y, dim = -1, input_dtype = "float32") : tensor<${rows}x${cols}xf32>
  func.return
}
