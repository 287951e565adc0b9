// Rows of an embedding, their gradient, and the gradient of a loss over as many classes.
// sizes: rows=128 cols=768 words=4096
// sizes: rows=512 cols=768 words=8192
func.func @embedding(%table: tensor<${words}x${cols}xf32>, %index: tensor<${rows}xi64>) {
  %y = aten.embedding(%table, %index) : tensor<${rows}x${cols}xf32>
  func.return
}
func.func @embedding_gradient(%g: tensor<${rows}x${cols}xf32>, %index: tensor<${rows}xi64>) {
  %y = aten.embedding_dense_backward(%g, %index, num_weights = ${words}, padding_idx = -1, scale_grad_by_freq = false) : tensor<${words}x${cols}xf32>
  func.return
}
func.func @loss_gradient(%g: tensor<f32>, %x: tensor<${rows}x${words}xf32>, %target: tensor<${rows}xi64>, %total: tensor<f32>) {
  %y = aten.nll_loss_backward(%g, %x, %target, weight = none, reduction = 1, ignore_index = -100, total_weight = %total) : tensor<${rows}x${words}xf32>
  func.return
}
