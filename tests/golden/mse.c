// # Squared error of one prediction.
// loss mse(p: real, y: real) = (p - y) ^ 2
INLINE double loss_mse_code(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch, const int weighted, const int64_t s0, const int64_t s1) {
    const real classes = R(call->classes); (void)classes; (void)scratch;
    const int64_t reduced = call->reduction != REDUCE_NONE; (void)reduced;
    const real *const in0 = call->in[0]; (void)in0;
    const real *const in1 = call->in[1]; (void)in1;
    real *const out0 = call->out[0]; // grad_p
    real *const out1 = call->out[1]; // grad_y
    real *const losses = reduced ? scratch : call->loss + first;
    #pragma omp simd
    for (int64_t r = first; r < last; r++) {
        const real weight = weighted ? WEIGHT(r) : R(1), scale = weighted ? unit * weight : unit;
        const real v0 = in0[r * s0];
        const real v1 = in1[r * s1];
        const real v2 = (v0 - v1);
        const real v3 = (v2 * v2);
        const real v4 = (R(2.0) * v2);
        const real v5 = (R(-2.0) * v2);
        losses[r - first] = weight == 0 ? R(0) : weight * v3;
        out0[r] = weight == 0 ? R(0) : scale * v4;
        out1[r] = weight == 0 ? R(0) : scale * v5;
    }
    return total_of(losses, last - first);
}
static double loss_mse_block(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    if (call->weight == &glo_one && call->stride[0] == 1 && call->stride[2] == 1)
        return loss_mse_code(call, first, last, unit, scratch, 0, 1, 1);
    return loss_mse_code(call, first, last, unit, scratch, 1, call->stride[0], call->stride[2]);
}
int glo_mse(glo_call *call) {
    static const int class_inputs[] = {0};
    const int buffers[] = {0, 0};
    return glo_run(call, loss_mse_block, class_inputs, 0, buffers);
}
