"""What every C translation unit begins with: elementary functions that vectorise, and the driver over rows."""

from __future__ import annotations

from glo_codegen.c_special import C_SPECIAL

ELEMENTARY = r"""
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#ifdef GLO_DOUBLE
typedef double real;
typedef int64_t word;
typedef uint64_t unsigned_word;
#define DIGITS 52
#define LIBM(name) name
#else
typedef float real;
typedef int32_t word;
typedef uint32_t unsigned_word;
#define DIGITS 23
#define LIBM(name) name##f
#endif
#define R(x) ((real)(x))
#define INLINE static inline __attribute__((always_inline, unused))

INLINE real from_bits(word i) { real x; memcpy(&x, &i, sizeof x); return x; }
INLINE word to_bits(real x) { word i; memcpy(&i, &x, sizeof i); return i; }

// A NaN wins, so that it poisons its row. Clang makes vectors of the largest of a row where it is told what that is.
#ifdef __clang__
#if __has_builtin(__builtin_elementwise_maximum)
#define GLO_MAXIMUM
#endif
#endif
#ifdef GLO_MAXIMUM
INLINE real real_max(real a, real b) { return __builtin_elementwise_maximum(a, b); }
INLINE real real_min(real a, real b) { return __builtin_elementwise_minimum(a, b); }
#else
INLINE real real_max(real a, real b) { real m = a > b ? a : b; return a != a ? a : m; }
INLINE real real_min(real a, real b) { real m = a < b ? a : b; return a != a ? a : m; }
#endif
#pragma omp declare reduction(real_max : real : omp_out = real_max(omp_out, omp_in)) initializer(omp_priv = -INFINITY)
#pragma omp declare reduction(real_min : real : omp_out = real_min(omp_out, omp_in)) initializer(omp_priv = INFINITY)

INLINE real real_abs(real x) { return LIBM(fabs)(x); }
INLINE real real_sqrt(real x) { return LIBM(sqrt)(x); }
INLINE real real_floor(real x) { return LIBM(floor)(x); }
INLINE real real_sin(real x) { return LIBM(sin)(x); }
INLINE real real_cos(real x) { return LIBM(cos)(x); }
INLINE real real_erf(real x) { return LIBM(erf)(x); }
INLINE real real_pow(real x, real y) { return LIBM(pow)(x, y); }
INLINE real real_sign(real x) { return (x < 0 || x > 0) ? LIBM(copysign)(R(1), x) : x; }

// x = k ln 2 + r with |r| <= ln(2)/2; r is rounded, and `rest` is what that left. Adding a large number rounds to an
// integer, which then stands in the low bits of `t`.
typedef struct { real t, k, r, rest; } reduced_real;
INLINE reduced_real reduce(real x) {
#ifdef GLO_DOUBLE
    const real shift = 0x1.8p52, ln2_hi = 0x1.62e42fefa3800p-1, ln2_lo = 0x1.ef35793c76730p-45;
#else
    const real shift = 0x1.8p23f, ln2_hi = 0x1.62e400p-1f, ln2_lo = 0x1.7f7d1cp-20f;
#endif
    const real t = x * R(0x1.71547652b82fep0) + shift, k = t - shift;
    const real near = x - k * ln2_hi, r = near - k * ln2_lo;
    const reduced_real found = {t, k, r, (near - r) - k * ln2_lo};
    return found;
}

// (exp(r) - 1 - r) / r^2
INLINE real exp_tail(real r) {
#ifdef GLO_DOUBLE
    real p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0; p = p * r + 1.0 / 39916800.0; p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0; p = p * r + 1.0 / 40320.0; p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0; p = p * r + 1.0 / 120.0; p = p * r + 1.0 / 24.0; p = p * r + 1.0 / 6.0;
    return p * r + 0.5;
#else  // minimax, relative error of exp 4e-9
    real p = 0x1.6a23d0p-10f;
    p = p * r + 0x1.123a20p-7f; p = p * r + 0x1.5558f2p-5f; p = p * r + 0x1.555492p-3f;
    return p * r + 0x1.fffffcp-2f;
#endif
}

// y times 2^k, in whose low bits `t` has k.
INLINE real scaled_by(real y, real t) {
    return from_bits(to_bits(y) + (word)((unsigned_word)to_bits(t) << DIGITS));
}

// exp(x), branch-free; 0 where the result would be below the normal range. `exact`: with what r, and the sum with 1,
// were rounded by, for functions that round it again.
INLINE real exp_of(real x, const int exact) {
#ifdef GLO_DOUBLE
    const real highest = 0x1.62e42fefa39efp+9, lowest = -0x1.6232bdd7abcd2p+9;
#else
    const real highest = 0x1.62e42ep+6f, lowest = -0x1.5d589ep+6f;
#endif
    const reduced_real of = reduce(x);
    const real sum = R(1) + of.r, left = of.r - (sum - R(1)), curved = exp_tail(of.r) * of.r * of.r;
    real y = scaled_by(exact ? sum + (curved + (of.rest + left)) : curved + of.r + R(1), of.t);
    y = x > highest ? R(INFINITY) : y;
    y = x < lowest ? R(0) : y;
    return x != x ? x : y;
}
INLINE real real_exp(real x) { return exp_of(x, 0); }

// exp(x) - 1 as (2^k - 1 + 2^k r) + 2^k (what exp(r) - 1 has besides r). Where 1 is nothing to it, exp(x).
INLINE real real_expm1(real x) {
    const real inside = real_min(real_max(x, R(-80)), R(60));
    const reduced_real of = reduce(inside);
    const real scale = scaled_by(R(1), of.t);
    const real y = (scale - R(1) + scale * of.r) + scale * (exp_tail(of.r) * of.r * of.r + of.rest);
    return x > R(50) ? real_exp(x) : x != x ? x : y;
}

// log(x) - less, where that is no more than a rounding of x changes: x = 2^e m with m in [sqrt(1/2), sqrt(2)); log(m)
// by the series in s = (m-1)/(m+1), arranged as in fdlibm.
INLINE real log_less(real x, real less) {
#ifdef GLO_DOUBLE
    const real tiny = 0x1p-1022, up = 0x1p54, up_log2 = 54;
    const word half_sqrt = 0x3fe6a09e667f3bcd;
#else
    const real tiny = 0x1p-126f, up = 0x1p25f, up_log2 = 25;
    const word half_sqrt = 0x3f3504f3;
#endif
    real scaled = x < tiny ? x * up : x;
    word bits = to_bits(scaled) - half_sqrt;
    word exponent = bits & ~(((word)1 << DIGITS) - 1);
    real m = from_bits(to_bits(scaled) - exponent);
#ifdef GLO_DOUBLE
    real e = from_bits(((exponent >> 52) + 1075) | 0x4330000000000000) - (0x1p52 + 1075.0);
#else
    real e = (real)(exponent >> 23);
#endif
    e = x < tiny ? e - up_log2 : e;
    real f = m - R(1), s = f / (R(2) + f), z = s * s, square = R(0.5) * f * f;
#ifdef GLO_DOUBLE
    real q = 2.0 / 21.0;
    q = q * z + 2.0 / 19.0; q = q * z + 2.0 / 17.0; q = q * z + 2.0 / 15.0; q = q * z + 2.0 / 13.0;
    q = q * z + 2.0 / 11.0; q = q * z + 2.0 / 9.0; q = q * z + 2.0 / 7.0; q = q * z + 2.0 / 5.0; q = q * z + 2.0 / 3.0;
    const real ln2_hi = 0x1.62e42fee00000p-1, ln2_lo = 0x1.a39ef35793c76p-33;
#else
    real q = 2.0f / 11.0f;
    q = q * z + 2.0f / 9.0f; q = q * z + 2.0f / 7.0f; q = q * z + 2.0f / 5.0f; q = q * z + 2.0f / 3.0f;
    const real ln2_hi = 0x1.62e300p-1f, ln2_lo = 0x1.2fefa2p-17f;
#endif
    real y = e * ln2_hi - ((square - (s * (square + q * z) + (e * ln2_lo - less))) - f);
    y = x == INFINITY ? INFINITY : y;
    y = x == 0 ? -INFINITY : y;
    return (x < 0 || x != x) ? R(NAN) : y;
}

INLINE real real_log(real x) { return log_less(x, R(0)); }

// 1 + x is rounded, and log(u) corrected by what that left, over u.
INLINE real real_log1p(real x) {
    const real u = R(1) + x, moved = u - R(1), left = (R(1) - (u - moved)) + (x - moved);
    const real y = log_less(u, -(left / u));
    return u == INFINITY ? u : u == R(1) ? x : y;
}
INLINE real real_sigmoid(real x) {
    const real e = exp_of(-real_abs(x), 1), y = (x < 0 ? e : R(1)) / (R(1) + e);
    return x < 0 && e < R(0.4) ? e - e * y : y;  // then only what is taken from e is rounded often
}
INLINE real real_softplus(real x) { return real_max(x, R(0)) + real_log1p(exp_of(-real_abs(x), 1)); }

// With e = exp(2|x|) - 1: e / (e + 2), as a large number less a small one that may be rounded often.
INLINE real real_tanh(real x) {
    const real a = real_abs(x), e = real_expm1(R(2) * (a > R(20) ? R(20) : a)), over = R(1) / (e + R(2));
    real y = e > R(2) ? R(1) - R(2) * over : R(0.5) * e - R(0.5) * e * (e * over);
    y = x < 0 ? -y : y;
    return x != x ? x : y;
}
INLINE real real_xlogy(real a, real b) { return (a == 0 && b == b) ? R(0) : a * real_log(b); }
"""

DRIVER = r"""
enum { REDUCE_NONE, REDUCE_SUM, REDUCE_MEAN, REDUCE_GIVEN };

typedef struct {
    int64_t rows, classes;        // of a plane
    int64_t ignore_index, reduction;
    const void *const *in;        // one pointer per input
    const int64_t *stride;        // two per input, in elements: from row to row, from class to class
    const double *params;
    void *const *out;             // one array per gradient, in the order of the program
    real *loss;                   // one value per row, or a single one when reduced
    int64_t bad_row, bad_class;   // set when a class index is out of range
    double divisor;               // what REDUCE_GIVEN divides by; REDUCE_MEAN counts the rows
    const real *weight;           // what multiplies the loss and the gradients of each row; NULL: 1
    int64_t weight_stride;
    int64_t status;               // what glo_many was told by the function
    int64_t planes;               // so many times `rows` rows, each plane so many bytes after the one before it:
    const int64_t *plane;         // one number per input, then one per gradient; may be NULL if there is one plane
    int64_t inputs, gradients;    // how many there are
} glo_call;

typedef double (*glo_block)(const glo_call *call, int64_t first, int64_t last, real unit, real *scratch);

static const real glo_one = 1;
#define WEIGHT(r) (call->weight[(r) * call->weight_stride])

// The class input k of row r.
#define CLASS_INDEX(call, k, r) (((const int64_t *)(call)->in[k])[(r) * (call)->stride[2 * (k)]])

INLINE double total_of(const real *values, int64_t n) {
    double total = 0;
    #pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < n; i++) total += values[i];
    return total;
}

// Rows of at most NARROW classes are computed LANES at a time.
enum { LANES = 16, NARROW = 64 };

// A long row is summed in stretches of so many classes, so that a total never meets a value far smaller than itself.
enum { STRETCH = 512 };

// With GLO_ACROSS rows, not classes, lie side by side in memory, in gradients too: all are computed LANES at a time.
#ifdef GLO_ACROSS
#define IS_NARROW(n) 1
#else
#define IS_NARROW(n) ((n) >= 1 && (n) <= NARROW)
#endif
#ifdef GLO_ACROSS
#define FROM_ROW(call) 1
#else
#define FROM_ROW(call) ((call)->classes)
#endif

// The row as adjacent elements: itself if it is that already, else copied into `room`.
INLINE const real *side_by_side(const real *row, int64_t stride, int n, real *room) {
    if (stride == 1) return row;
    for (int c = 0; c < n; c++) room[c] = row[c * stride];
    return room;
}
INLINE const uint8_t *bits_side_by_side(const uint8_t *row, int64_t stride, int n, real *room) {
    if (stride == 1) return row;
    uint8_t *bits = (uint8_t *)room;
    for (int c = 0; c < n; c++) bits[c] = row[c * stride];
    return bits;
}

// A group of rows to columns: for every class, its value in all rows of the group.
INLINE void turn_in(const real *in, const int64_t *row, int64_t from_row, int64_t from_class, int n, real *columns) {
#ifdef GLO_ACROSS
    if (from_row == 1 && row[LANES - 1] - row[0] == LANES - 1) {
        for (int c = 0; c < n; c++) memcpy(columns + c * LANES, in + row[0] + c * from_class, sizeof(real) * LANES);
        return;
    }
#endif
    for (int c = 0; c < n; c++)
        for (int i = 0; i < LANES; i++) columns[c * LANES + i] = in[row[i] * from_row + c * from_class];
}
INLINE void turn_bits(
    const uint8_t *in, const int64_t *row, int64_t from_row, int64_t from_class, int n, real *columns
) {
    for (int c = 0; c < n; c++)
        for (int i = 0; i < LANES; i++) columns[c * LANES + i] = R(in[row[i] * from_row + c * from_class]);
}

// Columns back to the first `filled` rows, of which `rows` is the first; those that do not count get zeros.
INLINE void turn_out(const real *columns, const int *on, int filled, int n, const glo_call *call, real *rows) {
#ifdef GLO_ACROSS
    for (int c = 0; c < n; c++)
        for (int i = 0; i < filled; i++) rows[c * call->rows + i] = on[i] ? columns[c * LANES + i] : R(0);
#else
    (void)call;
    for (int i = 0; i < filled; i++)
        for (int c = 0; c < n; c++) rows[i * n + c] = on[i] ? columns[c * LANES + i] : R(0);
#endif
}

INLINE int is_ignored(const glo_call *call, const int *class_inputs, int n, int64_t r) {
    int ignored = 0;
    for (int i = 0; i < n; i++) ignored |= CLASS_INDEX(call, class_inputs[i], r) == call->ignore_index;
    return ignored;
}

// The part of a call that is one of its planes; `places` is room for a pointer to each input and gradient.
static glo_call glo_part(const glo_call *call, int64_t plane, const void **places) {
    glo_call part = *call;
    if (plane == 0) return part;
    for (int64_t n = 0; n < call->inputs; n++) places[n] = (const char *)call->in[n] + plane * call->plane[n];
    void **out = (void **)(places + call->inputs);
    for (int64_t k = 0; k < call->gradients; k++)
        out[k] = (char *)call->out[k] + plane * call->plane[call->inputs + k];
    part.in = places;
    part.out = out;
    part.weight += plane * call->rows * call->weight_stride;
    if (call->reduction == REDUCE_NONE) part.loss += plane * call->rows;
    return part;
}

// Number of rows that count; or -1 when a class index is out of range.
static int64_t glo_count(glo_call *call, const int *class_inputs, int n) {
    if (n == 0) return call->planes * call->rows;
    int64_t counted = 0;
    for (int64_t p = 0; p < call->planes; p++) {
        const void *places[call->inputs + call->gradients + 1];
        const glo_call part = glo_part(call, p, places);
        for (int64_t r = 0; r < call->rows; r++) {
            if (is_ignored(&part, class_inputs, n, r)) continue;
            for (int i = 0; i < n; i++) {
                int64_t t = CLASS_INDEX(&part, class_inputs[i], r);
                if (t >= 0 && t < call->classes) continue;
                call->bad_row = p * call->rows + r;
                call->bad_class = t;
                return -1;
            }
            counted++;
        }
    }
    return counted;
}

// Where blocks of rows leave their sums, and what they need for that.
typedef struct {
    glo_block block;
    int64_t step, parts;    // rows of a block, blocks of a plane
    size_t room;            // scratch of a thread, in elements
    real scale;
    double *sums;           // one per block
} glo_plan;

// The blocks from `first` to `last`, and whether there was room for their scratch.
static int glo_blocks(const glo_call *call, const glo_plan *plan, int64_t first, int64_t last) {
    real near[4096] __attribute__((aligned(64)));
    real *scratch = plan->room <= 4096 ? near : malloc(sizeof(real) * plan->room);
    if (scratch == NULL) return 0;
    const void *places[call->inputs + call->gradients + 1];
    for (int64_t b = first; b < last; b++) {
        int64_t begin = b % plan->parts * plan->step, end = begin + plan->step;
        const glo_call part = glo_part(call, b / plan->parts, places);
        plan->sums[b] = plan->block(&part, begin, end < call->rows ? end : call->rows, plan->scale, scratch);
    }
    if (scratch != near) free(scratch);
    return 1;
}

// Blocks of rows, each summed by itself and the sums added in order: the same result for any number of threads.
// `buffers`: the scratch rows that a long row needs, and for a group of short rows the scratch rows of each.
// There is always room for one value per row of a block. Threads cost microseconds: a small batch has one.
static int glo_run(glo_call *call, glo_block block, const int *class_inputs, int n, const int *buffers) {
    if (call->weight == NULL) { call->weight = &glo_one; call->weight_stride = 0; }
    int64_t counted = glo_count(call, class_inputs, n);
    if (counted < 0) return 1;
    int64_t width = call->classes > 0 ? call->classes : 1;
    int64_t room = IS_NARROW(width) ? buffers[1] * LANES * width : buffers[0] * width;
    int64_t step = width >= 4096 ? 1 : 4096 / width;
    if (IS_NARROW(width)) step = step < LANES ? LANES : step - step % LANES;
    int64_t parts = (call->rows + step - 1) / step, blocks = call->planes * parts;
    double divisor = call->reduction == REDUCE_GIVEN  ? call->divisor
                     : call->reduction == REDUCE_MEAN ? (double)counted
                                                      : 1.0;
    double near[16], *sums = blocks <= 16 ? near : malloc(sizeof(double) * (size_t)blocks);
    if (sums == NULL) return 2;
    const glo_plan plan = {block, step, parts, (size_t)(room > step ? room : step), R(1.0 / divisor), sums};
    int failed = 0;
#ifdef _OPENMP
    if (blocks > 1 && call->planes * call->rows * width >= 32768) {
        #pragma omp parallel reduction(| : failed)
        {
            int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
            failed |= !glo_blocks(call, &plan, blocks * thread / threads, blocks * (thread + 1) / threads);
        }
    } else
#endif
        failed = !glo_blocks(call, &plan, 0, blocks);
    double total = 0;
    for (int64_t b = 0; b < blocks; b++) total += sums[b];
    if (sums != near) free(sums);
    if (call->reduction != REDUCE_NONE) call->loss[0] = (real)(total / divisor);
    return failed ? 2 : 0;
}
"""

MANY = r"""
// Several calls, of one loss or of many, from all cores if they are worth it; each of them is as if it were alone.
// Returns 0, or 1 if a call has failed: its status says how.
int glo_many(glo_call *calls, int (*const *functions)(glo_call *), int64_t n) {
    int64_t work = 0;
    int failed = 0;
    for (int64_t i = 0; i < n; i++)
        work += calls[i].planes * calls[i].rows * (calls[i].classes > 0 ? calls[i].classes : 1);
    #pragma omp parallel for schedule(dynamic) reduction(| : failed) if (n > 1 && work >= 32768)
    for (int64_t i = 0; i < n; i++) {
        calls[i].status = functions[i](&calls[i]);
        failed |= calls[i].status != 0;
    }
    return failed;
}
"""

PREAMBLE = ELEMENTARY + C_SPECIAL + DRIVER + MANY
