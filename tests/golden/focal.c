// # Focal loss. Lin et al. 2017, arXiv:1708.02002, eq. 4
// loss focal(z: real[C], t: class[C]; gamma = 2 in [0, 8]) =
//   let p = softmax(z)[t] in
//   -(1 - p) ^ gamma * log(p)
INLINE double loss_focal_wide(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    const int n_classes = (int)call->classes; (void)n_classes;
    const real classes = R(call->classes); (void)classes; (void)scratch;
    const int64_t reduced = call->reduction != REDUCE_NONE; (void)reduced;
    const real *const in0 = call->in[0]; (void)in0;
    const int64_t row0 = call->stride[0]; (void)row0;
    real *const out0 = call->out[0]; // grad_z
    real *const out1 = call->out[1]; // parameter
    const real p_gamma = R(call->params[0]); (void)p_gamma;
    const int v17 = (p_gamma == R(0.0));
    const real v19 = (R(-1.0) + p_gamma);
    const int v36 = (p_gamma >= R(0.0));
    const int64_t s0 = call->stride[1]; (void)s0;
    real *const kept_v6 = scratch + (int64_t)0 * n_classes;
    real *const losses = call->loss;
    double total = 0;
    for (int64_t r = first; r < last; r++) {
        const real weight = WEIGHT(r), scale = unit * weight;
        if (weight == 0 || CLASS_INDEX(call, 1, r) == call->ignore_index) {
            memset(out0 + r * n_classes, 0, sizeof(real) * (size_t)n_classes);
            out1[r] = 0;
            if (!reduced) losses[r] = 0;
            continue;
        }
        const real *const x0 = side_by_side(in0 + r * row0, s0, n_classes, scratch + (int64_t)1 * n_classes);
        const int v1 = (int)CLASS_INDEX(call, 1, r);
        const real v2 = in0[r * row0 + v1 * s0];
        real v3 = R(-INFINITY);
        for (int from = 0; from < n_classes; from += STRETCH) {
            const int to = n_classes - from < STRETCH ? n_classes : from + STRETCH;
            real part_v3 = R(-INFINITY);
            #pragma omp simd reduction(real_max : part_v3)
            for (int c = from; c < to; c++) {
                const real v0 = x0[c];
                part_v3 = real_max(part_v3, v0);
            }
            v3 = real_max(v3, part_v3);
        }
        const real v4 = (v2 - v3);
        const real v10 = real_exp(v4);
        real v7 = R(0);
        for (int from = 0; from < n_classes; from += STRETCH) {
            const int to = n_classes - from < STRETCH ? n_classes : from + STRETCH;
            real part_v7 = R(0);
            #pragma omp simd reduction(+ : part_v7)
            for (int c = from; c < to; c++) {
                const real v0 = x0[c];
                const real v5 = (v0 - v3);
                const real v6 = real_exp(v5);
                kept_v6[c] = v6;
                part_v7 += v6;
            }
            v7 += part_v7;
        }
        const real v8 = real_log(v7);
        const real v9 = (v4 - v8);
        const real v11 = (R(1.0) / v7);
        const real v12 = (v10 * v11);
        const real v13 = (R(1.0) - v12);
        const real v14 = real_pow(v13, p_gamma);
        const real v15 = (v9 * v14);
        const real v16 = (-v15);
        const real v18 = (p_gamma * v9);
        const real v20 = real_pow(v13, v19);
        const real v21 = (v18 * v20);
        const real v22 = (-v21);
        const real v23 = (v17 ? R(0.0) : v22);
        const real v24 = (v23 * v12);
        const int v37 = (v13 == R(0.0));
        const int v38 = (v36 & v37);
        const real v39 = (-v12);
        const real v40 = real_log1p(v39);
        const real v41 = (v40 * v15);
        const real v42 = (-v41);
        const real v43 = (v38 ? R(0.0) : v42);
        #pragma omp simd
        for (int c = 0; c < n_classes; c++) {
            const int v25 = (c == v1);
            const real v26 = (v25 ? R(1.0) : R(0.0));
            const real v6 = kept_v6[c];
            const real v27 = (v23 * v26);
            const real v28 = (v24 - v27);
            const real v29 = (v28 * v6);
            const real v30 = (v29 * v11);
            const real v31 = (v6 * v11);
            const real v32 = (v31 * v14);
            const real v33 = (v26 * v14);
            const real v34 = (v32 - v33);
            const real v35 = (v30 + v34);
            out0[r * n_classes + c] = scale * v35;
        }
        const real value = v16 * weight;
        total += value;
        if (!reduced) losses[r] = value;
        out1[r] = scale * v43;
    }
    return total;
}
INLINE double loss_focal_narrow(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    const int n_classes = (int)call->classes; (void)n_classes;
    const real classes = R(call->classes); (void)classes; (void)scratch;
    const int64_t reduced = call->reduction != REDUCE_NONE; (void)reduced;
    const real *const in0 = call->in[0]; (void)in0;
    const int64_t row0 = call->stride[0]; (void)row0;
    real *const out0 = call->out[0]; // grad_z
    real *const out1 = call->out[1]; // parameter
    const real p_gamma = R(call->params[0]); (void)p_gamma;
    const int v17 = (p_gamma == R(0.0));
    const real v19 = (R(-1.0) + p_gamma);
    const int v36 = (p_gamma >= R(0.0));
    const int64_t s0 = call->stride[1]; (void)s0;
    real *const kept_v6 = scratch + 0 * LANES * n_classes;
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
        int v1[LANES];
        real v2[LANES];
        real v3[LANES];
        real v4[LANES];
        real v10[LANES];
        real v7[LANES];
        real v8[LANES];
        real v9[LANES];
        real v11[LANES];
        real v12[LANES];
        real v13[LANES];
        real v14[LANES];
        real v15[LANES];
        real v16[LANES];
        real v18[LANES];
        real v20[LANES];
        real v21[LANES];
        real v22[LANES];
        real v23[LANES];
        real v24[LANES];
        int v37[LANES];
        int v38[LANES];
        real v39[LANES];
        real v40[LANES];
        real v41[LANES];
        real v42[LANES];
        real v43[LANES];
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v1[i] = on[i] ? (int)CLASS_INDEX(call, 1, row[i]) : 0;
            v2[i] = on[i] ? in0[row[i] * row0 + v1[i] * s0] : 0;
        }
        for (int i = 0; i < LANES; i++) {
            v3[i] = R(-INFINITY);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const real v0 = turned0[c * LANES + i];
                v3[i] = real_max(v3[i], v0);
            }
        }
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v4[i] = (v2[i] - v3[i]);
            v10[i] = real_exp(v4[i]);
        }
        for (int i = 0; i < LANES; i++) {
            v7[i] = R(0);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const real v0 = turned0[c * LANES + i];
                const real v5 = (v0 - v3[i]);
                const real v6 = real_exp(v5);
                kept_v6[c * LANES + i] = v6;
                v7[i] += v6;
            }
        }
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v8[i] = real_log(v7[i]);
            v9[i] = (v4[i] - v8[i]);
            v11[i] = (R(1.0) / v7[i]);
            v12[i] = (v10[i] * v11[i]);
            v13[i] = (R(1.0) - v12[i]);
            v14[i] = real_pow(v13[i], p_gamma);
            v15[i] = (v9[i] * v14[i]);
            v16[i] = (-v15[i]);
            v18[i] = (p_gamma * v9[i]);
            v20[i] = real_pow(v13[i], v19);
            v21[i] = (v18[i] * v20[i]);
            v22[i] = (-v21[i]);
            v23[i] = (v17 ? R(0.0) : v22[i]);
            v24[i] = (v23[i] * v12[i]);
            v37[i] = (v13[i] == R(0.0));
            v38[i] = (v36 & v37[i]);
            v39[i] = (-v12[i]);
            v40[i] = real_log1p(v39[i]);
            v41[i] = (v40[i] * v15[i]);
            v42[i] = (-v41[i]);
            v43[i] = (v38[i] ? R(0.0) : v42[i]);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const int v25 = (c == v1[i]);
                const real v26 = (v25 ? R(1.0) : R(0.0));
                const real v6 = kept_v6[c * LANES + i];
                const real v27 = (v23[i] * v26);
                const real v28 = (v24[i] - v27);
                const real v29 = (v28 * v6);
                const real v30 = (v29 * v11[i]);
                const real v31 = (v6 * v11[i]);
                const real v32 = (v31 * v14[i]);
                const real v33 = (v26 * v14[i]);
                const real v34 = (v32 - v33);
                const real v35 = (v30 + v34);
                turned_grad_z[c * LANES + i] = scale[i] * v35;
            }
        }
        turn_out(turned_grad_z, on, filled, n_classes, call, out0 + r0 * FROM_ROW(call));
        for (int i = 0; i < filled; i++) {
            const real value = on[i] ? v16[i] * WEIGHT(r0 + i) : R(0);
            total += value;
            if (!reduced) call->loss[r0 + i] = value;
            out1[r0 + i] = on[i] ? scale[i] * v43[i] : R(0);
        }
    }
    return total;
}
static double loss_focal_block(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    if (IS_NARROW(call->classes))
        return loss_focal_narrow(call, first, last, unit, scratch);
    return loss_focal_wide(call, first, last, unit, scratch);
}
int glo_focal(glo_call *call) {
    static const int class_inputs[] = {1};
    const int buffers[] = {2, 3};
    return glo_run(call, loss_focal_block, class_inputs, 1, buffers);
}
