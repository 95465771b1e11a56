/* gemm with bfloat16 or float16 operands and float32 results. */
#include <stdlib.h>
#include <string.h>

#include "routines.h"

static float widen(uint16_t bits, int kind) {
    uint32_t pattern = (uint32_t)bits << 16;
    if (kind == HW_FLOAT16) {
        const uint32_t sign = (uint32_t)(bits & 0x8000) << 16, magnitude = bits & 0x7fff;
        if (magnitude < 0x400) { /* zero and subnormals: multiples of 2^-24 */
            const float value = (float)magnitude * 0x1p-24f;
            return sign ? -value : value;
        }
        const uint32_t exponent = magnitude >= 0x7c00 ? 0xff - 0x1f : 127 - 15;
        pattern = sign | ((magnitude << 13) + (exponent << 23));
    }
    float value;
    memcpy(&value, &pattern, sizeof value);
    return value;
}

/* Copies a stored matrix as float32, exactly; its leading dimension becomes its line's length. */
static float *widen_lines(hw_view *view, int64_t lines, int64_t length, int kind) {
    /* Where both strides are 1, a line is one number long, and either may be taken. */
    int64_t *leading = view->row == 1 ? &view->column : &view->row;
    float *copy = malloc((size_t)(lines * length) * sizeof *copy + 1);
    for (int64_t i = 0; copy != NULL && i < lines; i++)
        for (int64_t j = 0; j < length; j++)
            copy[i * length + j] = widen(((const uint16_t *)view->data)[i * *leading + j], kind);
    *leading = length;
    view->data = copy;
    return copy;
}

static int run_half(hw_call *call) {
    const hw_view a = call->update.a, b = call->update.b;
    int status = HWGEN_OK;
    float *copies[2] = {NULL, NULL};
    if (call->update.k > 0 && call->update.alpha[0] != 0) {
        copies[0] = widen_lines(&call->update.a, call->a_lines, call->a_length, call->half);
        copies[1] = widen_lines(&call->update.b, call->b_lines, call->b_length, call->half);
        if (copies[0] == NULL || copies[1] == NULL)
            status = HWGEN_NO_MEMORY;
    }
    if (status == HWGEN_OK)
        status = hw_run_gemm(call);
    free(copies[0]);
    free(copies[1]);
    call->update.a = a;
    call->update.b = b;
    return status;
}

static void half_gemm(hw_call *call, const hw_arguments *arguments, int kind) {
    hw_gemm(call, 's', arguments);
    const hw_update *u = &call->update;
    const bool a_by_rows = (hw_option(arguments, 1) == 'N') == arguments->row_major;
    const bool b_by_rows = (hw_option(arguments, 2) == 'N') == arguments->row_major;
    call->half = kind;
    call->a_lines = a_by_rows ? u->m : u->k;
    call->a_length = a_by_rows ? u->k : u->m;
    call->b_lines = b_by_rows ? u->k : u->n;
    call->b_length = b_by_rows ? u->n : u->k;
    call->run = run_half;
}

void hw_bf16_gemm(hw_call *call, char letter, const hw_arguments *arguments) {
    (void)letter;
    half_gemm(call, arguments, HW_BFLOAT16);
}

void hw_f16_gemm(hw_call *call, char letter, const hw_arguments *arguments) {
    (void)letter;
    half_gemm(call, arguments, HW_FLOAT16);
}
