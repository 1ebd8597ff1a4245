// # Softmax cross-entropy with one class index per sample.
// loss cross_entropy(z: real[C], t: class[C]) = -sum(onehot(t) * log(softmax(z)))
INLINE double loss_cross_entropy_wide(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    const int n_classes = (int)call->classes; (void)n_classes;
    const real classes = R(call->classes); (void)classes; (void)scratch;
    const int64_t reduced = call->reduction != REDUCE_NONE; (void)reduced;
    const real *const in0 = call->in[0]; (void)in0;
    const int64_t row0 = call->stride[0]; (void)row0;
    real *const out0 = call->out[0]; // grad_z
    const int64_t s0 = call->stride[1]; (void)s0;
    real *const kept_v3 = scratch + (int64_t)0 * n_classes;
    real *const losses = call->loss;
    double total = 0;
    for (int64_t r = first; r < last; r++) {
        const real weight = WEIGHT(r), scale = unit * weight;
        if (weight == 0 || CLASS_INDEX(call, 1, r) == call->ignore_index) {
            memset(out0 + r * n_classes, 0, sizeof(real) * (size_t)n_classes);
            if (!reduced) losses[r] = 0;
            continue;
        }
        const real *const x0 = side_by_side(in0 + r * row0, s0, n_classes, scratch + (int64_t)1 * n_classes);
        const int v6 = (int)CLASS_INDEX(call, 1, r);
        const real v7 = in0[r * row0 + v6 * s0];
        real v1 = R(-INFINITY);
        for (int from = 0; from < n_classes; from += STRETCH) {
            const int to = n_classes - from < STRETCH ? n_classes : from + STRETCH;
            real part_v1 = R(-INFINITY);
            #pragma omp simd reduction(real_max : part_v1)
            for (int c = from; c < to; c++) {
                const real v0 = x0[c];
                part_v1 = real_max(part_v1, v0);
            }
            v1 = real_max(v1, part_v1);
        }
        const real v8 = (v7 - v1);
        real v4 = R(0);
        for (int from = 0; from < n_classes; from += STRETCH) {
            const int to = n_classes - from < STRETCH ? n_classes : from + STRETCH;
            real part_v4 = R(0);
            #pragma omp simd reduction(+ : part_v4)
            for (int c = from; c < to; c++) {
                const real v0 = x0[c];
                const real v2 = (v0 - v1);
                const real v3 = real_exp(v2);
                kept_v3[c] = v3;
                part_v4 += v3;
            }
            v4 += part_v4;
        }
        const real v5 = real_log(v4);
        const real v9 = (v5 - v8);
        const real v10 = (R(1.0) / v4);
        #pragma omp simd
        for (int c = 0; c < n_classes; c++) {
            const int v12 = (c == v6);
            const real v13 = (v12 ? R(1.0) : R(0.0));
            const real v3 = kept_v3[c];
            const real v11 = (v3 * v10);
            const real v14 = (v11 - v13);
            out0[r * n_classes + c] = scale * v14;
        }
        const real value = v9 * weight;
        total += value;
        if (!reduced) losses[r] = value;
    }
    return total;
}
INLINE double loss_cross_entropy_narrow(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    const int n_classes = (int)call->classes; (void)n_classes;
    const real classes = R(call->classes); (void)classes; (void)scratch;
    const int64_t reduced = call->reduction != REDUCE_NONE; (void)reduced;
    const real *const in0 = call->in[0]; (void)in0;
    const int64_t row0 = call->stride[0]; (void)row0;
    real *const out0 = call->out[0]; // grad_z
    const int64_t s0 = call->stride[1]; (void)s0;
    real *const kept_v3 = scratch + 0 * LANES * n_classes;
    real *const turned0 = scratch + 1 * LANES * n_classes;
    real *const turned_grad_z = scratch + 2 * LANES * n_classes;
    double total = 0;
    for (int64_t r0 = first; r0 < last; r0 += LANES) {
        const int filled = last - r0 < LANES ? (int)(last - r0) : LANES;
        int64_t row[LANES];
        int on[LANES];
        real scale[LANES];
        for (int i = 0; i < LANES; i++) {
            row[i] = r0 + (i < filled ? i : 0);
            scale[i] = unit * WEIGHT(row[i]);
            on[i] = i < filled && WEIGHT(row[i]) != 0 && CLASS_INDEX(call, 1, row[i]) != call->ignore_index;
        }
        turn_in(in0, row, row0, s0, n_classes, turned0);
        int v6[LANES];
        real v7[LANES];
        real v1[LANES];
        real v8[LANES];
        real v4[LANES];
        real v5[LANES];
        real v9[LANES];
        real v10[LANES];
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v6[i] = on[i] ? (int)CLASS_INDEX(call, 1, row[i]) : 0;
            v7[i] = on[i] ? in0[row[i] * row0 + v6[i] * s0] : 0;
        }
        for (int i = 0; i < LANES; i++) {
            v1[i] = R(-INFINITY);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const real v0 = turned0[c * LANES + i];
                v1[i] = real_max(v1[i], v0);
            }
        }
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v8[i] = (v7[i] - v1[i]);
        }
        for (int i = 0; i < LANES; i++) {
            v4[i] = R(0);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const real v0 = turned0[c * LANES + i];
                const real v2 = (v0 - v1[i]);
                const real v3 = real_exp(v2);
                kept_v3[c * LANES + i] = v3;
                v4[i] += v3;
            }
        }
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v5[i] = real_log(v4[i]);
            v9[i] = (v5[i] - v8[i]);
            v10[i] = (R(1.0) / v4[i]);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const int v12 = (c == v6[i]);
                const real v13 = (v12 ? R(1.0) : R(0.0));
                const real v3 = kept_v3[c * LANES + i];
                const real v11 = (v3 * v10[i]);
                const real v14 = (v11 - v13);
                turned_grad_z[c * LANES + i] = scale[i] * v14;
            }
        }
        turn_out(turned_grad_z, on, filled, n_classes, call, out0 + r0 * FROM_ROW(call));
        for (int i = 0; i < filled; i++) {
            const real value = on[i] ? v9[i] * WEIGHT(r0 + i) : R(0);
            total += value;
            if (!reduced) call->loss[r0 + i] = value;
        }
    }
    return total;
}
static double loss_cross_entropy_block(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    if (IS_NARROW(call->classes))
        return loss_cross_entropy_narrow(call, first, last, unit, scratch);
    return loss_cross_entropy_wide(call, first, last, unit, scratch);
}
int glo_cross_entropy(glo_call *call) {
    static const int class_inputs[] = {1};
    const int buffers[] = {2, 3};
    return glo_run(call, loss_cross_entropy_block, class_inputs, 1, buffers);
}
