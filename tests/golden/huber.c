// # Quadratic near zero, linear beyond delta. Huber 1964, doi:10.1214/aoms/1177703732
// loss huber(p: real, y: real; delta = 1 in [1e-3, 1e3]) = huber_of(p - y, delta)
INLINE double loss_huber_code(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch, const int weighted, const int64_t s0, const int64_t s1) {
    const real classes = R(call->classes); (void)classes; (void)scratch;
    const int64_t reduced = call->reduction != REDUCE_NONE; (void)reduced;
    const real *const in0 = call->in[0]; (void)in0;
    const real *const in1 = call->in[1]; (void)in1;
    real *const out0 = call->out[0]; // grad_p
    real *const out1 = call->out[1]; // grad_y
    real *const out2 = call->out[2]; // parameter
    const real p_delta = R(call->params[0]); (void)p_delta;
    const real v7 = (p_delta / R(2.0));
    real *const losses = reduced ? scratch : call->loss + first;
    #pragma omp simd
    for (int64_t r = first; r < last; r++) {
        const real weight = weighted ? WEIGHT(r) : R(1), scale = weighted ? unit * weight : unit;
        const real v0 = in0[r * s0];
        const real v1 = in1[r * s1];
        const real v2 = (v0 - v1);
        const real v3 = real_abs(v2);
        const int v4 = (v3 <= p_delta);
        const real v5 = (v2 * v2);
        const real v6 = (v5 / R(2.0));
        const real v8 = (v3 - v7);
        const real v9 = (p_delta * v8);
        const real v10 = (v4 ? v6 : v9);
        const real v11 = real_sign(v2);
        const real v12 = (p_delta * v11);
        const real v13 = (v4 ? v2 : v12);
        const real v14 = (-v13);
        const real v15 = (v8 - v7);
        const real v16 = (v4 ? R(0.0) : v15);
        losses[r - first] = weight == 0 ? R(0) : weight * v10;
        out0[r] = weight == 0 ? R(0) : scale * v13;
        out1[r] = weight == 0 ? R(0) : scale * v14;
        out2[r] = weight == 0 ? R(0) : scale * v16;
    }
    return total_of(losses, last - first);
}
static double loss_huber_block(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    if (call->weight == &glo_one && call->stride[0] == 1 && call->stride[2] == 1)
        return loss_huber_code(call, first, last, unit, scratch, 0, 1, 1);
    return loss_huber_code(call, first, last, unit, scratch, 1, call->stride[0], call->stride[2]);
}
int glo_huber(glo_call *call) {
    static const int class_inputs[] = {0};
    const int buffers[] = {0, 0};
    return glo_run(call, loss_huber_block, class_inputs, 0, buffers);
}
