// Batch norm of an image, in training and in inference, and its gradient; pooling over pixels.
// sizes: n=1 c=960 h=7
// sizes: n=1 c=64 h=56
// sizes: n=1 c=256 h=56
// sizes: n=4 c=96 h=112
func.func @batch_norm(%x: tensor<${n}x${c}x${h}x${h}xf32>, %scale: tensor<${c}xf32>, %shift: tensor<${c}xf32>, %mean: tensor<${c}xf32>, %var: tensor<${c}xf32>) {
  %y, %m, %v = aten.native_batch_norm(%x, %scale, %shift, %mean, %var, training = true, momentum = 0.1, eps = 0.00001) : tensor<${n}x${c}x${h}x${h}xf32>, tensor<${c}xf32>, tensor<${c}xf32>
  func.return
}
func.func @batch_norm_inference(%x: tensor<${n}x${c}x${h}x${h}xf32>, %scale: tensor<${c}xf32>, %shift: tensor<${c}xf32>, %mean: tensor<${c}xf32>, %var: tensor<${c}xf32>) {
  %y, %m, %v = aten.native_batch_norm(%x, %scale, %shift, %mean, %var, training = false, momentum = 0.1, eps = 0.00001) : tensor<${n}x${c}x${h}x${h}xf32>, tensor<0xf32>, tensor<0xf32>
  func.return
}
func.func @batch_norm_gradient(%g: tensor<${n}x${c}x${h}x${h}xf32>, %x: tensor<${n}x${c}x${h}x${h}xf32>, %scale: tensor<${c}xf32>, %mean: tensor<${c}xf32>, %var: tensor<${c}xf32>, %m: tensor<${c}xf32>, %v: tensor<${c}xf32>) {
  %gx, %gs, %gb = aten.native_batch_norm_backward(%g, %x, %scale, %mean, %var, %m, %v, train = true, eps = 0.00001, output_mask = [true, true, true]) : tensor<${n}x${c}x${h}x${h}xf32>, tensor<${c}xf32>, tensor<${c}xf32>
  func.return
}
func.func @mean_over_pixels(%x: tensor<${n}x${c}x${h}x${h}xf32>) {
  %y = aten.mean.dim(%x, dim = [-1, -2], keepdim = true) : tensor<${n}x${c}x1x1xf32>
  func.return
}
