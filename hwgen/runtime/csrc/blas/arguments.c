/* Reads BLAS' arguments. */
#include "routines.h"

void hw_call_start(hw_call *call, hw_entry *entry, const void *caller) {
    /* Not cleared whole: a call of a 2 x 2 product should cost nothing. */
    call->entry = entry;
    call->fallback = entry;
    call->caller = caller;
    call->illegal = 0;
    call->batch = 1;
    call->operations = 0;
    call->out.part = HW_FULL;
    call->out.list = NULL;
    call->out.stride = 0;
    call->out.count = 1;
    call->stepwise = false;
    call->profiling = false;
    call->touched = false;
    call->fault = HWGEN_OK;
    call->state = 0;
    call->reason = NULL;
    call->saved = NULL;
    call->a_list = NULL;
    call->b_list = NULL;
    call->a_stride = 0;
    call->b_stride = 0;
    call->update.part = HW_FULL;
    call->update.hermitian = false;
    call->update.beta[0] = 0;
    call->update.beta[1] = 0;
}

hw_view hw_stored(hw_call *call, const hw_arguments *arguments, int position, int64_t rows,
                  int64_t columns) {
    const int64_t line = arguments->row_major ? columns : rows;
    const int64_t leading = hw_integer(arguments, position + 1);
    hw_require(call, arguments, position + 1, leading >= (line > 1 ? line : 1));
    const void *data = hw_pointer(arguments, position);
    return arguments->row_major ? (hw_view){data, leading, 1, false}
                                : (hw_view){data, 1, leading, false};
}

void hw_writes_matrix(hw_call *call, const hw_arguments *arguments, int position, int64_t rows,
                      int64_t columns) {
    const hw_view c = hw_stored(call, arguments, position, rows, columns);
    const bool row_major = arguments->row_major;
    call->update.c = (void *)c.data;
    call->update.row = c.row;
    call->update.column = c.column;
    call->out.letter = call->update.letter;
    call->out.data = (void *)c.data;
    call->out.lines = row_major ? rows : columns;
    call->out.length = row_major ? columns : rows;
    call->out.line_stride = row_major ? c.row : c.column;
    call->out.part = call->update.part;
    /* A line of a matrix by rows runs along j: its lower triangle are the positions before. */
    if (row_major && call->out.part != HW_FULL)
        call->out.part = call->out.part == HW_LOWER ? HW_UPPER : HW_LOWER;
}

hw_view hw_op(char letter, char transpose, hw_view view) {
    if (transpose != 'N')
        view = hw_transposed(view);
    view.conjugate = transpose == 'C' && hw_is_complex(letter);
    return view;
}

const void *hw_vector(const hw_arguments *arguments, char letter, int position, int64_t length,
                      int64_t increment) {
    const int64_t first = increment < 0 && length > 0 ? (1 - length) * increment : 0;
    return hw_at(hw_pointer(arguments, position), letter, first);
}
