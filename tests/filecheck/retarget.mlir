// RUN: steelyard-opt %s -p 'retarget{device=h100-sxm}' | filecheck %s
// RUN: steelyard-opt %s -p 'retarget{device=t4}' | filecheck %s --check-prefix T4
// RUN: steelyard-opt %s -p 'retarget{device=h100-sxm},retarget{device=cpu}' | filecheck %s --check-prefix BACK
// RUN: steelyard-opt %s -p 'retarget{device=mi300x}' | filecheck %s --check-prefix BACK

// Flash in half precision; T4 is too old for it. Both keep what the gradient reads.
// CHECK: %[[O:[a-z0-9_]+]], %[[L:[a-z0-9_]+]], %[[CQ:[a-z0-9_]+]], %[[CK:[a-z0-9_]+]], %{{[a-z0-9_]+}}, %{{[a-z0-9_]+}}, %[[S:[a-z0-9_]+]], %[[P:[a-z0-9_]+]], %{{[a-z0-9_]+}} = aten._scaled_dot_product_flash_attention(%q, %k, %v, dropout_p = 0.0, is_causal = true) {phase = "forward", path = "attn"} : tensor<2x4x40x64xbf16>, tensor<2x4x40xf32>, none, none, none, none, tensor<2xui64>, tensor<ui64>, tensor<0xbf16>
// CHECK: aten._scaled_dot_product_flash_attention_backward(%g, %q, %k, %v, %[[O]], %[[L]], %[[CQ]], %[[CK]], max_q = 40, max_k = 40, dropout_p = 0.0, is_causal = true, philox_seed = %[[S]], philox_offset = %[[P]])
// T4: %[[O:[a-z0-9_]+]], %[[L:[a-z0-9_]+]], %[[S:[a-z0-9_]+]], %[[P:[a-z0-9_]+]] = aten._scaled_dot_product_efficient_attention(%q, %k, %v, compute_log_sumexp = true, dropout_p = 0.0, is_causal = true) {phase = "forward", path = "attn"} : tensor<2x4x40x64xbf16>, tensor<2x4x64xf32>, tensor<i64>, tensor<i64>
// T4: aten._scaled_dot_product_efficient_attention_backward(%g, %q, %k, %v, out = %[[O]], logsumexp = %[[L]], philox_seed = %[[S]], philox_offset = %[[P]], dropout_p = 0.0, grad_input_mask = [true, true, true, false], is_causal = true)
// BACK: aten._scaled_dot_product_flash_attention_for_cpu(%q, %k, %v, dropout_p = 0.0, is_causal = true) {{.*}}: tensor<2x4x40x64xbf16>, tensor<2x4x40xf32>
// BACK: aten._scaled_dot_product_flash_attention_for_cpu_backward(%g, %q, %k, %v,

// A mask needs the memory-efficient kernel, which does not share heads of keys.
// CHECK: aten._scaled_dot_product_efficient_attention(%q, %k, %v, %m, compute_log_sumexp = false
// CHECK-SAME: tensor<2x4x40x64xbf16>, tensor<2x4x0xf32>
// CHECK: aten._scaled_dot_product_flash_attention_for_cpu(%q, %k1, %k1, attn_mask = %m)
// T4: aten._scaled_dot_product_efficient_attention(%q, %k, %v, %m, compute_log_sumexp = false
// BACK: aten._scaled_dot_product_flash_attention_for_cpu(%q, %k, %v, attn_mask = %m)

// Dropout is one kernel with a mask of bytes, and so is its gradient; a mask that is read otherwise stays.
// CHECK: %[[Y:[a-z0-9_]+]], %[[M:[a-z0-9_]+]] = aten.native_dropout(%q, p = 0.1, train = true) {phase = "forward", path = "drop"} : tensor<2x4x40x64xbf16>, tensor<2x4x40x64xi1>
// CHECK-NEXT: aten.native_dropout_backward(%g, %[[M]], scale = 1.1111111111111112)
// CHECK-NEXT: program.drop %[[M]]
// CHECK-NEXT: aten.empty_like
// CHECK-NEXT: aten.bernoulli_
// CHECK-NEXT: aten.div_
// CHECK-NEXT: aten.mul
builtin.module {
  func.func @step(%q: tensor<2x4x40x64xbf16>, %k: tensor<2x4x40x64xbf16>, %v: tensor<2x4x40x64xbf16>,
      %k1: tensor<2x1x40x64xbf16>, %m: tensor<2x4x40x40xbf16>, %g: tensor<2x4x40x64xbf16>)
      -> (tensor<2x4x40x64xbf16>, tensor<2x4x40x64xbf16>, tensor<2x4x40x64xbf16>) {
    %o, %l = aten._scaled_dot_product_flash_attention_for_cpu(%q, %k, %v, dropout_p = 0.0, is_causal = true)
      {phase = "forward", path = "attn"} : tensor<2x4x40x64xbf16>, tensor<2x4x40xf32>
    %dq, %dk, %dv = aten._scaled_dot_product_flash_attention_for_cpu_backward(
      %g, %q, %k, %v, %o, %l, dropout_p = 0.0, is_causal = true)
      {phase = "backward", path = "attn"} : tensor<2x4x40x64xbf16>, tensor<2x4x40x64xbf16>, tensor<2x4x40x64xbf16>
    program.drop %l : tensor<2x4x40xf32>
    %o1, %l1 = aten._scaled_dot_product_flash_attention_for_cpu(%q, %k, %v, attn_mask = %m)
      : tensor<2x4x40x64xbf16>, tensor<2x4x40xf32>
    %o2, %l2 = aten._scaled_dot_product_flash_attention_for_cpu(%q, %k1, %k1, attn_mask = %m)
      : tensor<2x4x40x64xbf16>, tensor<2x4x40xf32>
    %e = aten.empty_like(%q) {phase = "forward", path = "drop"} : tensor<2x4x40x64xbf16>
    %b = aten.bernoulli_.float(%e, p = 0.9) {phase = "forward", path = "drop"} : tensor<2x4x40x64xbf16>
    %d = aten.div_.Scalar(%b, other = 0.9) {phase = "forward", path = "drop"} : tensor<2x4x40x64xbf16>
    %y = aten.mul.Tensor(%q, %d) {phase = "forward", path = "drop"} : tensor<2x4x40x64xbf16>
    %dy = aten.mul.Tensor(%g, %d) {phase = "backward", path = "drop"} : tensor<2x4x40x64xbf16>
    program.drop %d : tensor<2x4x40x64xbf16>
    %e1 = aten.empty_like(%q) {phase = "forward"} : tensor<2x4x40x64xbf16>
    %b1 = aten.bernoulli_.float(%e1, p = 0.9) {phase = "forward"} : tensor<2x4x40x64xbf16>
    %d1 = aten.div_.Scalar(%b1, other = 0.9) {phase = "forward"} : tensor<2x4x40x64xbf16>
    %y1 = aten.mul.Tensor(%q, %d1) {phase = "forward"} : tensor<2x4x40x64xbf16>
    func.return %y, %dy, %d1 : tensor<2x4x40x64xbf16>, tensor<2x4x40x64xbf16>, tensor<2x4x40x64xbf16>
  }
}
