// # Baikal, found by evolution. Gonzalez & Miikkulainen 2019, arXiv:1905.11528
// loss baikal(z: real[C], t: class[C]) =
//   let y = softmax(z), x = onehot(t) in
//   -mean(log(y) - x / y)
INLINE double loss_baikal_wide(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    const int n_classes = (int)call->classes; (void)n_classes;
    const real classes = R(call->classes); (void)classes; (void)scratch;
    const int64_t reduced = call->reduction != REDUCE_NONE; (void)reduced;
    const real *const in0 = call->in[0]; (void)in0;
    const int64_t row0 = call->stride[0]; (void)row0;
    real *const out0 = call->out[0]; // grad_z
    const real v19 = (R(-1.0) / classes);
    const int64_t s0 = call->stride[1]; (void)s0;
    real *const kept_v4 = scratch + (int64_t)0 * n_classes;
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
        const int v9 = (int)CLASS_INDEX(call, 1, r);
        const real v10 = in0[r * row0 + v9 * s0];
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
        const real v11 = (v10 - v1);
        real v3 = R(0);
        real v5 = R(0);
        for (int from = 0; from < n_classes; from += STRETCH) {
            const int to = n_classes - from < STRETCH ? n_classes : from + STRETCH;
            real part_v3 = R(0);
            real part_v5 = R(0);
            #pragma omp simd reduction(+ : part_v3) reduction(+ : part_v5)
            for (int c = from; c < to; c++) {
                const real v0 = x0[c];
                const real v2 = (v0 - v1);
                const real v4 = real_exp(v2);
                kept_v4[c] = v4;
                part_v3 += v2;
                part_v5 += v4;
            }
            v3 += part_v3;
            v5 += part_v5;
        }
        const real v6 = real_log(v5);
        const real v7 = (classes * v6);
        const real v8 = (v3 - v7);
        const real v12 = (v6 - v11);
        const real v13 = real_exp(v12);
        const real v14 = (v8 - v13);
        const real v15 = (v14 / classes);
        const real v16 = (-v15);
        const real v20 = (v13 * v19);
        const real v23 = (R(1.0) / v5);
        const real v25 = (R(-1.0) + v20);
        #pragma omp simd
        for (int c = 0; c < n_classes; c++) {
            const int v17 = (c == v9);
            const real v18 = (v17 ? R(1.0) : R(0.0));
            const real v4 = kept_v4[c];
            const real v21 = (v18 * v20);
            const real v22 = (v21 + v19);
            const real v24 = (v4 * v23);
            const real v26 = (v24 * v25);
            const real v27 = (v22 - v26);
            out0[r * n_classes + c] = scale * v27;
        }
        const real value = v16 * weight;
        total += value;
        if (!reduced) losses[r] = value;
    }
    return total;
}
INLINE double loss_baikal_narrow(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    const int n_classes = (int)call->classes; (void)n_classes;
    const real classes = R(call->classes); (void)classes; (void)scratch;
    const int64_t reduced = call->reduction != REDUCE_NONE; (void)reduced;
    const real *const in0 = call->in[0]; (void)in0;
    const int64_t row0 = call->stride[0]; (void)row0;
    real *const out0 = call->out[0]; // grad_z
    const real v19 = (R(-1.0) / classes);
    const int64_t s0 = call->stride[1]; (void)s0;
    real *const kept_v4 = scratch + 0 * LANES * n_classes;
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
        int v9[LANES];
        real v10[LANES];
        real v1[LANES];
        real v11[LANES];
        real v3[LANES];
        real v5[LANES];
        real v6[LANES];
        real v7[LANES];
        real v8[LANES];
        real v12[LANES];
        real v13[LANES];
        real v14[LANES];
        real v15[LANES];
        real v16[LANES];
        real v20[LANES];
        real v23[LANES];
        real v25[LANES];
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v9[i] = on[i] ? (int)CLASS_INDEX(call, 1, row[i]) : 0;
            v10[i] = on[i] ? in0[row[i] * row0 + v9[i] * s0] : 0;
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
            v11[i] = (v10[i] - v1[i]);
        }
        for (int i = 0; i < LANES; i++) {
            v3[i] = R(0);
            v5[i] = R(0);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const real v0 = turned0[c * LANES + i];
                const real v2 = (v0 - v1[i]);
                const real v4 = real_exp(v2);
                kept_v4[c * LANES + i] = v4;
                v3[i] += v2;
                v5[i] += v4;
            }
        }
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v6[i] = real_log(v5[i]);
            v7[i] = (classes * v6[i]);
            v8[i] = (v3[i] - v7[i]);
            v12[i] = (v6[i] - v11[i]);
            v13[i] = real_exp(v12[i]);
            v14[i] = (v8[i] - v13[i]);
            v15[i] = (v14[i] / classes);
            v16[i] = (-v15[i]);
            v20[i] = (v13[i] * v19);
            v23[i] = (R(1.0) / v5[i]);
            v25[i] = (R(-1.0) + v20[i]);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const int v17 = (c == v9[i]);
                const real v18 = (v17 ? R(1.0) : R(0.0));
                const real v4 = kept_v4[c * LANES + i];
                const real v21 = (v18 * v20[i]);
                const real v22 = (v21 + v19);
                const real v24 = (v4 * v23[i]);
                const real v26 = (v24 * v25[i]);
                const real v27 = (v22 - v26);
                turned_grad_z[c * LANES + i] = scale[i] * v27;
            }
        }
        turn_out(turned_grad_z, on, filled, n_classes, call, out0 + r0 * FROM_ROW(call));
        for (int i = 0; i < filled; i++) {
            const real value = on[i] ? v16[i] * WEIGHT(r0 + i) : R(0);
            total += value;
            if (!reduced) call->loss[r0 + i] = value;
        }
    }
    return total;
}
static double loss_baikal_block(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    if (IS_NARROW(call->classes))
        return loss_baikal_narrow(call, first, last, unit, scratch);
    return loss_baikal_wide(call, first, last, unit, scratch);
}
int glo_baikal(glo_call *call) {
    static const int class_inputs[] = {1};
    const int buffers[] = {2, 3};
    return glo_run(call, loss_baikal_block, class_inputs, 1, buffers);
}
