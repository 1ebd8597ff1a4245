// # TaylorGLO of third order around (th0, th1). Gonzalez & Miikkulainen 2020, arXiv:2002.00059
// # The defaults were evolved on MNIST and transferred to CIFAR-10 by the authors.
// loss taylor3(z: real[C], t: class[C];
//              th0 = -10.9408, th1 = 7.5216, th2 = 8.2896, th3 = 0.2415, th4 = 7.8726, th5 = 8.9666,
//              th6 = 2.0184, th7 = 7.0513) =
//   let x = onehot(t) - th0, y = softmax(z) - th1 in
//   -mean(th2 * y + th3 * y ^ 2 + th4 * y ^ 3 + th5 * x * y + th6 * x * y ^ 2 + th7 * x ^ 2 * y)
INLINE double loss_taylor3_wide(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
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
    real *const out5 = call->out[5]; // parameter
    real *const out6 = call->out[6]; // parameter
    real *const out7 = call->out[7]; // parameter
    real *const out8 = call->out[8]; // parameter
    const real p_th0 = R(call->params[0]); (void)p_th0;
    const real p_th1 = R(call->params[1]); (void)p_th1;
    const real p_th2 = R(call->params[2]); (void)p_th2;
    const real p_th3 = R(call->params[3]); (void)p_th3;
    const real p_th4 = R(call->params[4]); (void)p_th4;
    const real p_th5 = R(call->params[5]); (void)p_th5;
    const real p_th6 = R(call->params[6]); (void)p_th6;
    const real p_th7 = R(call->params[7]); (void)p_th7;
    const real v0 = (classes * p_th1);
    const real v1 = (R(1.0) - v0);
    const real v2 = (p_th2 * v1);
    const real v38 = (R(-1.0) / classes);
    const real v39 = (p_th7 * v38);
    const real v41 = (p_th4 * v38);
    const real v43 = (p_th5 * v38);
    const real v47 = (p_th6 * v38);
    const real v49 = (p_th3 * v38);
    const real v65 = (v43 * v1);
    const real v71 = (classes * p_th0);
    const real v72 = (R(1.0) - v71);
    const real v73 = (v72 * v43);
    const real v80 = (p_th2 * v38);
    const real v81 = (classes * v80);
    const real v84 = (v1 * v38);
    const int64_t s0 = call->stride[1]; (void)s0;
    real *const kept_v6 = scratch + (int64_t)0 * n_classes;
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
            out5[r] = 0;
            out6[r] = 0;
            out7[r] = 0;
            out8[r] = 0;
            if (!reduced) losses[r] = 0;
            continue;
        }
        const real *const x0 = side_by_side(in0 + r * row0, s0, n_classes, scratch + (int64_t)1 * n_classes);
        const int v19 = (int)CLASS_INDEX(call, 1, r);
        real v4 = R(-INFINITY);
        real v77 = R(0);
        for (int from = 0; from < n_classes; from += STRETCH) {
            const int to = n_classes - from < STRETCH ? n_classes : from + STRETCH;
            real part_v4 = R(-INFINITY);
            real part_v77 = R(0);
            #pragma omp simd reduction(real_max : part_v4) reduction(+ : part_v77)
            for (int c = from; c < to; c++) {
                const real v3 = x0[c];
                const int v20 = (c == v19);
                const real v21 = (v20 ? R(1.0) : R(0.0));
                const real v22 = (v21 - p_th0);
                const real v31 = (v22 * v22);
                part_v4 = real_max(part_v4, v3);
                part_v77 += v31;
            }
            v4 = real_max(v4, part_v4);
            v77 += part_v77;
        }
        const real v78 = (v39 * v77);
        real v7 = R(0);
        for (int from = 0; from < n_classes; from += STRETCH) {
            const int to = n_classes - from < STRETCH ? n_classes : from + STRETCH;
            real part_v7 = R(0);
            #pragma omp simd reduction(+ : part_v7)
            for (int c = from; c < to; c++) {
                const real v3 = x0[c];
                const real v5 = (v3 - v4);
                const real v6 = real_exp(v5);
                kept_v6[c] = v6;
                part_v7 += v6;
            }
            v7 += part_v7;
        }
        const real v8 = (R(1.0) / v7);
        real v12 = R(0);
        real v16 = R(0);
        real v24 = R(0);
        real v28 = R(0);
        real v33 = R(0);
        real v57 = R(0);
        real v69 = R(0);
        for (int from = 0; from < n_classes; from += STRETCH) {
            const int to = n_classes - from < STRETCH ? n_classes : from + STRETCH;
            real part_v12 = R(0);
            real part_v16 = R(0);
            real part_v24 = R(0);
            real part_v28 = R(0);
            real part_v33 = R(0);
            real part_v57 = R(0);
            real part_v69 = R(0);
            #pragma omp simd reduction(+ : part_v12) reduction(+ : part_v16) reduction(+ : part_v24) reduction(+ : part_v28) reduction(+ : part_v33) reduction(+ : part_v57) reduction(+ : part_v69)
            for (int c = from; c < to; c++) {
                const int v20 = (c == v19);
                const real v21 = (v20 ? R(1.0) : R(0.0));
                const real v22 = (v21 - p_th0);
                const real v31 = (v22 * v22);
                const real v40 = (v31 * v39);
                const real v44 = (v43 * v22);
                const real v48 = (v47 * v22);
                const real v50 = (v48 + v49);
                const real v6 = kept_v6[c];
                const real v9 = (v6 * v8);
                const real v10 = (v9 - p_th1);
                const real v11 = (v10 * v10);
                const real v15 = (v11 * v10);
                const real v23 = (v22 * v10);
                const real v27 = (v11 * v22);
                const real v32 = (v31 * v10);
                const real v42 = (v11 * v41);
                const real v45 = (v42 + v44);
                const real v46 = (v41 * v10);
                const real v51 = (v46 + v50);
                const real v52 = (v51 * v10);
                const real v53 = (R(2.0) * v52);
                const real v54 = (v45 + v53);
                const real v55 = (v40 + v54);
                const real v56 = (v6 * v55);
                part_v12 += v11;
                part_v16 += v15;
                part_v24 += v23;
                part_v28 += v27;
                part_v33 += v32;
                part_v57 += v56;
                part_v69 += v52;
            }
            v12 += part_v12;
            v16 += part_v16;
            v24 += part_v24;
            v28 += part_v28;
            v33 += part_v33;
            v57 += part_v57;
            v69 += part_v69;
        }
        const real v13 = (p_th3 * v12);
        const real v14 = (v2 + v13);
        const real v17 = (p_th4 * v16);
        const real v18 = (v14 + v17);
        const real v25 = (p_th5 * v24);
        const real v26 = (v18 + v25);
        const real v29 = (p_th6 * v28);
        const real v30 = (v26 + v29);
        const real v34 = (p_th7 * v33);
        const real v35 = (v30 + v34);
        const real v36 = (v35 / classes);
        const real v37 = (-v36);
        const real v58 = (v57 * v8);
        const real v62 = (v39 * v24);
        const real v63 = (R(2.0) * v62);
        const real v64 = (v47 * v12);
        const real v66 = (v64 + v65);
        const real v67 = (v63 + v66);
        const real v68 = (-v67);
        const real v70 = (R(2.0) * v69);
        const real v74 = (v41 * v12);
        const real v75 = (v73 + v74);
        const real v76 = (v70 + v75);
        const real v79 = (v76 + v78);
        const real v82 = (v79 + v81);
        const real v83 = (-v82);
        const real v85 = (v38 * v12);
        const real v86 = (v38 * v16);
        const real v87 = (v38 * v24);
        const real v88 = (v28 * v38);
        const real v89 = (v38 * v33);
        #pragma omp simd
        for (int c = 0; c < n_classes; c++) {
            const int v20 = (c == v19);
            const real v21 = (v20 ? R(1.0) : R(0.0));
            const real v22 = (v21 - p_th0);
            const real v31 = (v22 * v22);
            const real v40 = (v31 * v39);
            const real v44 = (v43 * v22);
            const real v48 = (v47 * v22);
            const real v50 = (v48 + v49);
            const real v6 = kept_v6[c];
            const real v9 = (v6 * v8);
            const real v10 = (v9 - p_th1);
            const real v11 = (v10 * v10);
            const real v42 = (v11 * v41);
            const real v45 = (v42 + v44);
            const real v46 = (v41 * v10);
            const real v51 = (v46 + v50);
            const real v52 = (v51 * v10);
            const real v53 = (R(2.0) * v52);
            const real v54 = (v45 + v53);
            const real v55 = (v40 + v54);
            const real v59 = (v55 - v58);
            const real v60 = (v59 * v6);
            const real v61 = (v60 * v8);
            out0[r * n_classes + c] = scale * v61;
        }
        const real value = v37 * weight;
        total += value;
        if (!reduced) losses[r] = value;
        out1[r] = scale * v68;
        out2[r] = scale * v83;
        out3[r] = scale * v84;
        out4[r] = scale * v85;
        out5[r] = scale * v86;
        out6[r] = scale * v87;
        out7[r] = scale * v88;
        out8[r] = scale * v89;
    }
    return total;
}
INLINE double loss_taylor3_narrow(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
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
    real *const out5 = call->out[5]; // parameter
    real *const out6 = call->out[6]; // parameter
    real *const out7 = call->out[7]; // parameter
    real *const out8 = call->out[8]; // parameter
    const real p_th0 = R(call->params[0]); (void)p_th0;
    const real p_th1 = R(call->params[1]); (void)p_th1;
    const real p_th2 = R(call->params[2]); (void)p_th2;
    const real p_th3 = R(call->params[3]); (void)p_th3;
    const real p_th4 = R(call->params[4]); (void)p_th4;
    const real p_th5 = R(call->params[5]); (void)p_th5;
    const real p_th6 = R(call->params[6]); (void)p_th6;
    const real p_th7 = R(call->params[7]); (void)p_th7;
    const real v0 = (classes * p_th1);
    const real v1 = (R(1.0) - v0);
    const real v2 = (p_th2 * v1);
    const real v38 = (R(-1.0) / classes);
    const real v39 = (p_th7 * v38);
    const real v41 = (p_th4 * v38);
    const real v43 = (p_th5 * v38);
    const real v47 = (p_th6 * v38);
    const real v49 = (p_th3 * v38);
    const real v65 = (v43 * v1);
    const real v71 = (classes * p_th0);
    const real v72 = (R(1.0) - v71);
    const real v73 = (v72 * v43);
    const real v80 = (p_th2 * v38);
    const real v81 = (classes * v80);
    const real v84 = (v1 * v38);
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
        int v19[LANES];
        real v4[LANES];
        real v77[LANES];
        real v78[LANES];
        real v7[LANES];
        real v8[LANES];
        real v12[LANES];
        real v16[LANES];
        real v24[LANES];
        real v28[LANES];
        real v33[LANES];
        real v57[LANES];
        real v69[LANES];
        real v13[LANES];
        real v14[LANES];
        real v17[LANES];
        real v18[LANES];
        real v25[LANES];
        real v26[LANES];
        real v29[LANES];
        real v30[LANES];
        real v34[LANES];
        real v35[LANES];
        real v36[LANES];
        real v37[LANES];
        real v58[LANES];
        real v62[LANES];
        real v63[LANES];
        real v64[LANES];
        real v66[LANES];
        real v67[LANES];
        real v68[LANES];
        real v70[LANES];
        real v74[LANES];
        real v75[LANES];
        real v76[LANES];
        real v79[LANES];
        real v82[LANES];
        real v83[LANES];
        real v85[LANES];
        real v86[LANES];
        real v87[LANES];
        real v88[LANES];
        real v89[LANES];
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v19[i] = on[i] ? (int)CLASS_INDEX(call, 1, row[i]) : 0;
        }
        for (int i = 0; i < LANES; i++) {
            v4[i] = R(-INFINITY);
            v77[i] = R(0);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const real v3 = turned0[c * LANES + i];
                const int v20 = (c == v19[i]);
                const real v21 = (v20 ? R(1.0) : R(0.0));
                const real v22 = (v21 - p_th0);
                const real v31 = (v22 * v22);
                v4[i] = real_max(v4[i], v3);
                v77[i] += v31;
            }
        }
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v78[i] = (v39 * v77[i]);
        }
        for (int i = 0; i < LANES; i++) {
            v7[i] = R(0);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const real v3 = turned0[c * LANES + i];
                const real v5 = (v3 - v4[i]);
                const real v6 = real_exp(v5);
                kept_v6[c * LANES + i] = v6;
                v7[i] += v6;
            }
        }
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v8[i] = (R(1.0) / v7[i]);
        }
        for (int i = 0; i < LANES; i++) {
            v12[i] = R(0);
            v16[i] = R(0);
            v24[i] = R(0);
            v28[i] = R(0);
            v33[i] = R(0);
            v57[i] = R(0);
            v69[i] = R(0);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const int v20 = (c == v19[i]);
                const real v21 = (v20 ? R(1.0) : R(0.0));
                const real v22 = (v21 - p_th0);
                const real v31 = (v22 * v22);
                const real v40 = (v31 * v39);
                const real v44 = (v43 * v22);
                const real v48 = (v47 * v22);
                const real v50 = (v48 + v49);
                const real v6 = kept_v6[c * LANES + i];
                const real v9 = (v6 * v8[i]);
                const real v10 = (v9 - p_th1);
                const real v11 = (v10 * v10);
                const real v15 = (v11 * v10);
                const real v23 = (v22 * v10);
                const real v27 = (v11 * v22);
                const real v32 = (v31 * v10);
                const real v42 = (v11 * v41);
                const real v45 = (v42 + v44);
                const real v46 = (v41 * v10);
                const real v51 = (v46 + v50);
                const real v52 = (v51 * v10);
                const real v53 = (R(2.0) * v52);
                const real v54 = (v45 + v53);
                const real v55 = (v40 + v54);
                const real v56 = (v6 * v55);
                v12[i] += v11;
                v16[i] += v15;
                v24[i] += v23;
                v28[i] += v27;
                v33[i] += v32;
                v57[i] += v56;
                v69[i] += v52;
            }
        }
        #pragma omp simd
        for (int i = 0; i < LANES; i++) {
            v13[i] = (p_th3 * v12[i]);
            v14[i] = (v2 + v13[i]);
            v17[i] = (p_th4 * v16[i]);
            v18[i] = (v14[i] + v17[i]);
            v25[i] = (p_th5 * v24[i]);
            v26[i] = (v18[i] + v25[i]);
            v29[i] = (p_th6 * v28[i]);
            v30[i] = (v26[i] + v29[i]);
            v34[i] = (p_th7 * v33[i]);
            v35[i] = (v30[i] + v34[i]);
            v36[i] = (v35[i] / classes);
            v37[i] = (-v36[i]);
            v58[i] = (v57[i] * v8[i]);
            v62[i] = (v39 * v24[i]);
            v63[i] = (R(2.0) * v62[i]);
            v64[i] = (v47 * v12[i]);
            v66[i] = (v64[i] + v65);
            v67[i] = (v63[i] + v66[i]);
            v68[i] = (-v67[i]);
            v70[i] = (R(2.0) * v69[i]);
            v74[i] = (v41 * v12[i]);
            v75[i] = (v73 + v74[i]);
            v76[i] = (v70[i] + v75[i]);
            v79[i] = (v76[i] + v78[i]);
            v82[i] = (v79[i] + v81);
            v83[i] = (-v82[i]);
            v85[i] = (v38 * v12[i]);
            v86[i] = (v38 * v16[i]);
            v87[i] = (v38 * v24[i]);
            v88[i] = (v28[i] * v38);
            v89[i] = (v38 * v33[i]);
        }
        for (int c = 0; c < n_classes; c++) {
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                const int v20 = (c == v19[i]);
                const real v21 = (v20 ? R(1.0) : R(0.0));
                const real v22 = (v21 - p_th0);
                const real v31 = (v22 * v22);
                const real v40 = (v31 * v39);
                const real v44 = (v43 * v22);
                const real v48 = (v47 * v22);
                const real v50 = (v48 + v49);
                const real v6 = kept_v6[c * LANES + i];
                const real v9 = (v6 * v8[i]);
                const real v10 = (v9 - p_th1);
                const real v11 = (v10 * v10);
                const real v42 = (v11 * v41);
                const real v45 = (v42 + v44);
                const real v46 = (v41 * v10);
                const real v51 = (v46 + v50);
                const real v52 = (v51 * v10);
                const real v53 = (R(2.0) * v52);
                const real v54 = (v45 + v53);
                const real v55 = (v40 + v54);
                const real v59 = (v55 - v58[i]);
                const real v60 = (v59 * v6);
                const real v61 = (v60 * v8[i]);
                turned_grad_z[c * LANES + i] = scale[i] * v61;
            }
        }
        turn_out(turned_grad_z, on, filled, n_classes, call, out0 + r0 * FROM_ROW(call));
        for (int i = 0; i < filled; i++) {
            const real value = on[i] ? v37[i] * WEIGHT(r0 + i) : R(0);
            total += value;
            if (!reduced) call->loss[r0 + i] = value;
            out1[r0 + i] = on[i] ? scale[i] * v68[i] : R(0);
            out2[r0 + i] = on[i] ? scale[i] * v83[i] : R(0);
            out3[r0 + i] = on[i] ? scale[i] * v84 : R(0);
            out4[r0 + i] = on[i] ? scale[i] * v85[i] : R(0);
            out5[r0 + i] = on[i] ? scale[i] * v86[i] : R(0);
            out6[r0 + i] = on[i] ? scale[i] * v87[i] : R(0);
            out7[r0 + i] = on[i] ? scale[i] * v88[i] : R(0);
            out8[r0 + i] = on[i] ? scale[i] * v89[i] : R(0);
        }
    }
    return total;
}
static double loss_taylor3_block(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch) {
    if (IS_NARROW(call->classes))
        return loss_taylor3_narrow(call, first, last, unit, scratch);
    return loss_taylor3_wide(call, first, last, unit, scratch);
}
int glo_taylor3(glo_call *call) {
    static const int class_inputs[] = {1};
    const int buffers[] = {2, 3};
    return glo_run(call, loss_taylor3_block, class_inputs, 1, buffers);
}
