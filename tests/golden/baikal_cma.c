// # Baikal with coefficients tuned by CMA-ES. Gonzalez & Miikkulainen 2019, arXiv:1905.11528
// loss baikal_cma(z: real[C], t: class[C];
//                 c0 = 2.7279, c1 = 0.9863, c2 = 1.5352 in [1e-3, 1e3], c3 = 1.8158) =
//   let y = softmax(z), x = onehot(t) in
//   -mean(c0 * (c1 * log(c2 * y) - c3 * x / y))
INLINE double loss_baikal_cma_wide(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    const int n_classes = (int)call->classes; (void)n_classes;
    const real classes = R(call->classes); (void)classes; (void)scratch;
    const int64_t reduced = call->reduction != REDUCE_NONE; (void)reduced;
    const real *const in0 = call->in[0]; (void)in0;
    const int64_t row0 = call->stride[0]; (void)row0;
    real *const out0 = call->out[0]; // grad_z
    real *const out1 = call->out[1]; // parameter
    real *const out2 = call->out[2]; // parameter
    real *const out3 = call->out[3]; // parameter
    real *const out4 = call->out[4]; // parameter
    const real p_c0 = R(call->params[0]); (void)p_c0;
    const real p_c1 = R(call->params[1]); (void)p_c1;
    const real p_c2 = R(call->params[2]); (void)p_c2;
    const real p_c3 = R(call->params[3]); (void)p_c3;
    const real v22 = (R(-1.0) / classes);
    const real v23 = (p_c0 * v22);
    const real v24 = (p_c1 * v23);
    const real v37 = (p_c3 * v23);
    const real v45 = (v24 / p_c2);
    const real v46 = (classes * v45);
    const int64_t s0 = call->stride[1]; (void)s0;
    real *const kept_v3 = scratch + (int64_t)0 * n_classes;
    real *const kept_v26 = scratch + (int64_t)1 * n_classes;
    real *const losses = call->loss;
    double total = 0;
    for (int64_t r = first; r < last; r++) {
        const real weight = WEIGHT(r), scale = unit * weight;
        if (weight == 0 || CLASS_INDEX(call, 1, r) == call->ignore_index) {
            memset(out0 + r * n_classes, 0, sizeof(real) * (size_t)n_classes);
            out1[r] = 0;
            out2[r] = 0;
            out3[r] = 0;
            out4[r] = 0;
            if (!reduced) losses[r] = 0;
            continue;
        }
        const real *const x0 = side_by_side(in0 + r * row0, s0, n_classes, scratch + (int64_t)2 * n_classes);
        const int v12 = (int)CLASS_INDEX(call, 1, r);
        const real v13 = in0[r * row0 + v12 * s0];
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
        const real v14 = (v13 - v1);
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
        const real v5 = (R(1.0) / v4);
        const real v11 = real_log(v4);
        const real v15 = (v11 - v14);
        const real v16 = real_exp(v15);
        const real v17 = (p_c3 * v16);
        const real v38 = (v16 * v37);
        const real v47 = (v16 * v23);
        const real v48 = (-v47);
        real v9 = R(0);
        real v29 = R(0);
        for (int from = 0; from < n_classes; from += STRETCH) {
            const int to = n_classes - from < STRETCH ? n_classes : from + STRETCH;
            real part_v9 = R(0);
            real part_v29 = R(0);
            #pragma omp simd reduction(+ : part_v9) reduction(+ : part_v29)
            for (int c = from; c < to; c++) {
                const real v0 = x0[c];
                const real v2 = (v0 - v1);
                const real v3 = kept_v3[c];
                const real v6 = (v3 * v5);
                const real v7 = (p_c2 * v6);
                const real v8 = real_log(v7);
                const real v25 = (v11 - v2);
                const real v26 = real_exp(v25);
                kept_v26[c] = v26;
                const real v28 = (v3 * v26);
                part_v9 += v8;
                part_v29 += v28;
            }
            v9 += part_v9;
            v29 += part_v29;
        }
        const real v10 = (p_c1 * v9);
        const real v18 = (v10 - v17);
        const real v19 = (p_c0 * v18);
        const real v20 = (v19 / classes);
        const real v21 = (-v20);
        const real v30 = (v29 * v5);
        const real v31 = (v30 * v24);
        const real v43 = (v18 * v22);
        const real v44 = (v23 * v9);
        #pragma omp simd
        for (int c = 0; c < n_classes; c++) {
            const int v35 = (c == v12);
            const real v36 = (v35 ? R(1.0) : R(0.0));
            const real v3 = kept_v3[c];
            const real v6 = (v3 * v5);
            const real v26 = kept_v26[c];
            const real v27 = (v24 * v26);
            const real v39 = (v36 * v38);
            const real v40 = (v6 * v38);
            const real v41 = (v39 - v40);
            const real v32 = (v27 - v31);
            const real v33 = (v32 * v3);
            const real v34 = (v33 * v5);
            const real v42 = (v34 + v41);
            out0[r * n_classes + c] = scale * v42;
        }
        const real value = v21 * weight;
        total += value;
        if (!reduced) losses[r] = value;
        out1[r] = scale * v43;
        out2[r] = scale * v44;
        out3[r] = scale * v46;
        out4[r] = scale * v48;
    }
    return total;
}
INLINE double loss_baikal_cma_narrow(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    const int n_classes = (int)call->classes; (void)n_classes;
    const real classes = R(call->classes); (void)classes; (void)scratch;
    const int64_t reduced = call->reduction != REDUCE_NONE; (void)reduced;
    const real *const in0 = call->in[0]; (void)in0;
    const int64_t row0 = call->stride[0]; (void)row0;
    real *const out0 = call->out[0]; // grad_z
    real *const out1 = call->out[1]; // parameter
    real *const out2 = call->out[2]; // parameter
    real *const out3 = call->out[3]; // parameter
    real *const out4 = call->out[4]; // parameter
    const real p_c0 = R(call->params[0]); (void)p_c0;
    const real p_c1 = R(call->params[1]); (void)p_c1;
    const real p_c2 = R(call->params[2]); (void)p_c2;
    const real p_c3 = R(call->params[3]); (void)p_c3;
    const real v22 = (R(-1.0) / classes);
    const real v23 = (p_c0 * v22);
    const real v24 = (p_c1 * v23);
    const real v37 = (p_c3 * v23);
    const real v45 = (v24 / p_c2);
    const real v46 = (classes * v45);
    const int64_t s0 = call->stride[1]; (void)s0;
    real *const kept_v3 = scratch + 0 * LANES * n_classes;
    real *const kept_v26 = scratch + 1 * LANES * n_classes;
    real *const turned0 = scratch + 2 * LANES * n_classes;
    real *const turned_grad_z = scratch + 3 * LANES * n_classes;
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
        int v12[LANES];
        real v13[LANES];
        real v1[LANES];
        real v14[LANES];
        real v4[LANES];
        real v5[LANES];
        real v11[LANES];
        real v15[LANES];
        real v16[LANES];
        real v17[LANES];
        real v38[LANES];
        real v47[LANES];
        real v48[LANES];
        real v9[LANES];
        real v29[LANES];
        real v10[LANES];
        real v18[LANES];
        real v19[LANES];
        real v20[LANES];
        real v21[LANES];
        real v30[LANES];
        real v31[LANES];
        real v43[LANES];
        real v44[LANES];
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v12[i] = on[i] ? (int)CLASS_INDEX(call, 1, row[i]) : 0;
            v13[i] = on[i] ? in0[row[i] * row0 + v12[i] * s0] : 0;
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
            v14[i] = (v13[i] - v1[i]);
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
            v5[i] = (R(1.0) / v4[i]);
            v11[i] = real_log(v4[i]);
            v15[i] = (v11[i] - v14[i]);
            v16[i] = real_exp(v15[i]);
            v17[i] = (p_c3 * v16[i]);
            v38[i] = (v16[i] * v37);
            v47[i] = (v16[i] * v23);
            v48[i] = (-v47[i]);
        }
        for (int i = 0; i < LANES; i++) {
            v9[i] = R(0);
            v29[i] = R(0);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const real v0 = turned0[c * LANES + i];
                const real v2 = (v0 - v1[i]);
                const real v3 = kept_v3[c * LANES + i];
                const real v6 = (v3 * v5[i]);
                const real v7 = (p_c2 * v6);
                const real v8 = real_log(v7);
                const real v25 = (v11[i] - v2);
                const real v26 = real_exp(v25);
                kept_v26[c * LANES + i] = v26;
                const real v28 = (v3 * v26);
                v9[i] += v8;
                v29[i] += v28;
            }
        }
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v10[i] = (p_c1 * v9[i]);
            v18[i] = (v10[i] - v17[i]);
            v19[i] = (p_c0 * v18[i]);
            v20[i] = (v19[i] / classes);
            v21[i] = (-v20[i]);
            v30[i] = (v29[i] * v5[i]);
            v31[i] = (v30[i] * v24);
            v43[i] = (v18[i] * v22);
            v44[i] = (v23 * v9[i]);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const int v35 = (c == v12[i]);
                const real v36 = (v35 ? R(1.0) : R(0.0));
                const real v3 = kept_v3[c * LANES + i];
                const real v6 = (v3 * v5[i]);
                const real v26 = kept_v26[c * LANES + i];
                const real v27 = (v24 * v26);
                const real v39 = (v36 * v38[i]);
                const real v40 = (v6 * v38[i]);
                const real v41 = (v39 - v40);
                const real v32 = (v27 - v31[i]);
                const real v33 = (v32 * v3);
                const real v34 = (v33 * v5[i]);
                const real v42 = (v34 + v41);
                turned_grad_z[c * LANES + i] = scale[i] * v42;
            }
        }
        turn_out(turned_grad_z, on, filled, n_classes, call, out0 + r0 * FROM_ROW(call));
        for (int i = 0; i < filled; i++) {
            const real value = on[i] ? v21[i] * WEIGHT(r0 + i) : R(0);
            total += value;
            if (!reduced) call->loss[r0 + i] = value;
            out1[r0 + i] = on[i] ? scale[i] * v43[i] : R(0);
            out2[r0 + i] = on[i] ? scale[i] * v44[i] : R(0);
            out3[r0 + i] = on[i] ? scale[i] * v46 : R(0);
            out4[r0 + i] = on[i] ? scale[i] * v48[i] : R(0);
        }
    }
    return total;
}
static double loss_baikal_cma_block(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    if (IS_NARROW(call->classes))
        return loss_baikal_cma_narrow(call, first, last, unit, scratch);
    return loss_baikal_cma_wide(call, first, last, unit, scratch);
}
int glo_baikal_cma(glo_call *call) {
    static const int class_inputs[] = {1};
    const int buffers[] = {3, 4};
    return glo_run(call, loss_baikal_cma_block, class_inputs, 1, buffers);
}
