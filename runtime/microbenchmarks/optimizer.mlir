// A step of AdamW over the weights of a layer.
// sizes: n=48 m=768
// sizes: n=768 m=768
// sizes: n=3072 m=768
func.func @adamw(%p: tensor<${n}x${m}xf32>, %q: tensor<${m}xf32>, %pg: tensor<${n}x${m}xf32>, %qg: tensor<${m}xf32>, %pa: tensor<${n}x${m}xf32>, %qa: tensor<${m}xf32>, %ps: tensor<${n}x${m}xf32>, %qs: tensor<${m}xf32>, %pt: tensor<f32>, %qt: tensor<f32>) {
  aten._fused_adamw_([%p, %q], [%pg, %qg], [%pa, %qa], [%ps, %qs], [], [%pt, %qt], lr = 0.001, beta1 = 0.9, beta2 = 0.999, weight_decay = 0.01, eps = 0.00000001, amsgrad = false, maximize = false)
  func.return
}
