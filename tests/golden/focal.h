// focal: loss and gradients of a batch, for cuda:90, float32; by glo-dsl 0.
//
//     cuModuleLoad(&module, "focal.cubin");
//     cuModuleGetFunction(&function, module, GLO_FOCAL_SYMBOL);
//     glo_focal_arguments arguments = {0};  // fill in
//     void *pointers[GLO_FOCAL_ARGUMENTS];
//     unsigned int blocks;
//     if (glo_focal_prepare(&arguments, pointers, &blocks) == 0 && blocks > 0)
//         cuLaunchKernel(function, blocks, 1, 1, GLO_FOCAL_THREADS, 1, 1, GLO_FOCAL_SHARED_BYTES, stream,
//                        pointers, NULL);
//
// More than 48 KB of shared memory have to be allowed first, by cuFuncSetAttribute.

#ifndef GLO_FOCAL_H
#define GLO_FOCAL_H

#include <stddef.h>
#include <stdint.h>

#define GLO_FOCAL_SYMBOL "focal_kernel"
#define GLO_FOCAL_THREADS 128
#define GLO_FOCAL_SHARED_BYTES 16
#define GLO_FOCAL_ROWS_PER_BLOCK 4
#define GLO_FOCAL_MIN_CLASSES 1
#define GLO_FOCAL_MAX_CLASSES 512
#define GLO_FOCAL_ARGUMENTS 14

// In the order of the kernel. Pointers are those of the device (CUdeviceptr), aligned to 16 bytes.
typedef struct {
    uint64_t in_z_ptr;  // float32 [rows, classes], classes side by side: input z
    int32_t in_z_row_stride;  // elements from row to row of z
    uint64_t in_t_ptr;  // int64 [rows], contiguous: input t
    uint64_t params_ptr;  // float32 [1]: gamma
    uint64_t scale_ptr;  // float32 [1]: what the gradients are multiplied by
    uint64_t loss_ptr;  // float32 [rows], written: the loss of each row
    uint64_t grad_z_ptr;  // float32 [rows, classes], contiguous, written: the gradient by z
    uint64_t grad_gamma_ptr;  // float32 [rows], contiguous, written: terms of the gradient by gamma, to be summed over rows
    int32_t out_row_stride;  // elements from row to row of out
    int32_t ignore_index;  // rows of this class count for nothing
    int32_t rows;  // how many
    int32_t classes;  // how many
    uint64_t global_scratch;  // 0; no kernel of glo-dsl needs it
    uint64_t profile_scratch;  // 0; no kernel of glo-dsl needs it
} glo_focal_arguments;

// Points at the arguments, and says how many blocks the grid has in x; returns 0, or the number, from 1 on,
// of the first argument that is not what the kernel was compiled for.
static inline int glo_focal_prepare(glo_focal_arguments *arguments, void **pointers, unsigned int *blocks) {
    if (arguments->in_z_ptr % 16 != 0) return 1;
    if (arguments->in_t_ptr % 16 != 0) return 3;
    if (arguments->params_ptr % 16 != 0) return 4;
    if (arguments->scale_ptr % 16 != 0) return 5;
    if (arguments->loss_ptr % 16 != 0) return 6;
    if (arguments->grad_z_ptr % 16 != 0) return 7;
    if (arguments->grad_gamma_ptr % 16 != 0) return 8;
    if (arguments->rows < 0) return 11;
    if (arguments->classes < GLO_FOCAL_MIN_CLASSES || arguments->classes > GLO_FOCAL_MAX_CLASSES) return 12;
    pointers[0] = &arguments->in_z_ptr;
    pointers[1] = &arguments->in_z_row_stride;
    pointers[2] = &arguments->in_t_ptr;
    pointers[3] = &arguments->params_ptr;
    pointers[4] = &arguments->scale_ptr;
    pointers[5] = &arguments->loss_ptr;
    pointers[6] = &arguments->grad_z_ptr;
    pointers[7] = &arguments->grad_gamma_ptr;
    pointers[8] = &arguments->out_row_stride;
    pointers[9] = &arguments->ignore_index;
    pointers[10] = &arguments->rows;
    pointers[11] = &arguments->classes;
    pointers[12] = &arguments->global_scratch;
    pointers[13] = &arguments->profile_scratch;
    *blocks = ((unsigned int)arguments->rows + GLO_FOCAL_ROWS_PER_BLOCK - 1) / GLO_FOCAL_ROWS_PER_BLOCK;
    return 0;
}

#endif
